# Runs a command with a /dev, /dev/shm, /dev/mqueue and /run of its own. It is for the first process of namespaces of its own:
#   unshare -rmpif --mount-proc --kill-child bash private-machine.sh COMMAND…
set -e
# A /dev of its own: not every machine has a /dev/mqueue.
mount -t tmpfs tmpfs /mnt
for device in null zero full random urandom tty; do
	: >/mnt/$device
	mount --bind /dev/$device /mnt/$device
done
ln -s /proc/self/fd /mnt/fd
ln -s pts/ptmx /mnt/ptmx
mkdir /mnt/shm /mnt/mqueue /mnt/pts
mount --rbind /mnt /dev
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs tmpfs /run
exec "$@"
