/** Which functions an image has. Pure. */

export const IMAGE_PROFILES = ["nat", "lb", "firewall", "all"] as const;

export type ImageProfile = (typeof IMAGE_PROFILES)[number];

/** Tells whether this is the name of a profile. */
export function isImageProfile(name: string): name is ImageProfile {
  return (IMAGE_PROFILES as readonly string[]).includes(name);
}
