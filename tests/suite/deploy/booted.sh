# A machine of its own in which systemd is the first process: everything of this one, and nothing of it is changed.
# $1 an empty folder, $2 larder, $3 the control group that it may have.
set -e
box=$1
mount --make-rprivate /
mount -t tmpfs box "$box"
mkdir "$box/upper" "$box/work" "$box/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$box/upper,workdir=$box/work" "$box/root"
cd "$box/root"
cp "$2" usr/local/bin/larder
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
ln -s /proc/self/fd dev/fd
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t sysfs -o ro sysfs sys
if [ "$3" = two ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
# Only what the units need: nothing that looks for hardware, and none of this machine's services.
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-sysusers.service systemd-resolved.service \
    systemd-remount-fs.service systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service \
    systemd-random-seed.service systemd-timesyncd.service keyboard-setup.service console-setup.service timers.target; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
: > etc/fstab
mkdir -p etc/larder srv/backups srv/data var/lib/systemd/timers old
echo hello > srv/data/file
cat > etc/larder/larder.toml <<'END'
[repository]
path = "/srv/backups/larder"
key_file = "/etc/larder/key"
[schedule]
cron = "0 0 1 1 *"
[source.data]
kind = "directory"
paths = ["/srv/data"]
END
(umask 077; printf '%064d' 7 > etc/larder/key)
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=larder@data.timer\n' > etc/systemd/system/box.target
# It was due while the machine was off.
touch -d '3 years ago' var/lib/systemd/timers/stamp-larder@data.timer
pivot_root . old
umount -l old
cd /
larder() { /usr/local/bin/larder "$@"; }
larder init --repo /srv/backups/larder --key-file /etc/larder/key --timezone UTC --recovery-file /root/recovery --quiet
larder schedule systemd --config /etc/larder/larder.toml --output /etc/systemd/system --quiet
larder schedule systemd --config /etc/larder/larder.toml --output /etc/systemd/system --daemon --quiet
exec env -i container=box PATH=/usr/bin:/bin:/usr/sbin:/sbin \
    /lib/systemd/systemd --system --unit=box.target --log-target=journal --show-status=no
