/** Waits until a claim holds, or lets its failure through. */
export async function eventually(
  claim: () => void | Promise<void>,
  withinMs = 5_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      await claim();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
