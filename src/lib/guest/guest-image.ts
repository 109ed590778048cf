/** The files that a VM boots from without a boot loader. Pure: types only. */

export interface GuestImage {
  readonly kernelFile: string;
  readonly initrdFile: string;
  /** The read-only root file system; absent for a guest that lives in its initial RAM disk. */
  readonly rootFile?: string;
  /** Words of the kernel's command line. */
  readonly commandLine: string;
  readonly version: string;
}
