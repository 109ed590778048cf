/**
 * The shell scripts of the guest: the first program of its RAM disk, and the one that runs the jobs.
 *
 * Pure. The machine's own root file system is the lower layer and stays as it is; what the guest writes is
 * kept in its RAM. A job's output and exit code leave through a virtio-serial port (guest-report.ts reads it).
 */

/** One program that the guest runs. */
export interface GuestJob {
  /** Words without blanks; each job of a run has its own. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** A file of one line that the job writes; it is reported when it is there. */
  readonly resultFile?: string;
}

export interface GuestPlan {
  readonly jobs: readonly GuestJob[];
  /** A folder of the machine that the guest has at GUEST_PROJECT too, where every user reaches it. */
  readonly projectRoot: string;
  /** `uname -r` of the guest's kernel. */
  readonly release: string;
  /** The guest switches itself off after so long, also when nobody watches it any more. */
  readonly limitSec: number;
}

export const GUEST_PROJECT = "/srv/flowlift";
export const ROOT_TAG = "root";
export const MODULES_TAG = "modules";
export const REPORT_PORT = "org.flowlift.guest-test.0";
/** Begins every line that is not a job's own output (ASCII record separator). */
export const RECORD = "\u001e";
const SHARE = "ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose";

/** Returns the word as a POSIX shell reads it back. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Modules that the RAM disk loads, in order, lie in /modules; /modules/list names them. */
export function formatInit({ release, projectRoot }: GuestPlan): string {
  return `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
while read -r module; do $b insmod "/modules/$module"; done < /modules/list
$b mount -t 9p -o ${SHARE} ${ROOT_TAG} /lower
$b mount -t tmpfs -o mode=755 tmpfs /upper
$b mkdir /upper/data /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root
$b mount -t devtmpfs dev /root/dev
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mkdir -p /root/run /root/dev/pts /root/dev/shm /root/usr/lib/modules/${release} /root${GUEST_PROJECT}
$b mount --bind ${quoteWord(`/root${projectRoot}`)} /root${GUEST_PROJECT}
$b mount -t tmpfs -o mode=755 tmpfs /root/run
$b mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
$b mount -t devpts devpts /root/dev/pts
$b mount -t 9p -o ${SHARE} ${MODULES_TAG} /root/usr/lib/modules/${release}
$b cp /jobs /root/run/jobs
exec $b switch_root /root /bin/sh /run/jobs
`;
}

/** Returns the script that runs the jobs and switches the guest off. */
export function formatJobs(plan: GuestPlan): string {
  return `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
( sleep ${plan.limitSec}; echo o > /proc/sysrq-trigger ) &
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = ${REPORT_PORT} ] && exec 3> "/dev/\${port##*/}"
done
printf '\\036kernel %s\\n' "$(uname -r)" >&3
${plan.jobs.map(formatJob).join("")}printf '\\036done\\n' >&3
sync
echo o > /proc/sysrq-trigger
sleep 60
`;
}

function formatJob(job: GuestJob): string {
  const variables = Object.entries(job.environment).map(([name, value]) =>
    quoteWord(`${name}=${value}`),
  );
  const words = ["env", ...variables, ...job.argv.map(quoteWord)].join(" ");
  const name = quoteWord(job.name);
  const result = quoteWord(job.resultFile ?? "/run/no-result");
  return `printf '\\036start %s\\n' ${name} >&3
{ (cd ${quoteWord(job.directory)} && exec ${words}) < /dev/null; echo $? > /run/exit-code; } 2>&1 | cat >&3
if [ -s ${result} ]; then { printf '\\n\\036result %s ' ${name}; cat ${result}; echo; } >&3; fi
printf '\\n\\036end %s %s\\n' ${name} "$(cat /run/exit-code)" >&3
`;
}
