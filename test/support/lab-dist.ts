/** Which build the labs of the tests run: dist, or another folder while the program is being changed. */

export const LAB_DIST_DIRECTORY: string = process.env["FLOWLIFT_TEST_DIST"] ?? "dist";
