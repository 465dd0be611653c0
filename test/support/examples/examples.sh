# Runs the examples of one page, one block after the other in one shell, and prints what they leave behind.
#   examples.sh HOME MARKS SETTING BLOCK…
# It is the first process on a private machine (namespaces/private-machine.sh): no object and no process of this machine is seen or hit. SETTING is
# what a reader has already, such as the daemons that the examples talk to. MARKS gets the number and the status of each block.
export HOME=$1 TMPDIR=$1/tmp IPC_RUNTIME_DIR=$1/run EXAMPLES_MARKS=$2 PATH=$1/bin:$PATH
cd "$HOME" || exit 125
mkdir tmp run
eval "$3"
shift 3
given=$(ls -A . /run)
# With job control, as in a terminal: otherwise what runs in the background ignores INT and QUIT.
bash --norc -c '
	set -m
	examples_at=0
	for examples_block; do
		examples_at=$((examples_at + 1))
		eval "$examples_block"
		echo "$examples_at $?" >>"$EXAMPLES_MARKS"
	done' examples "$@" </dev/null
now=$(ls -A . /run)
for job in $(jobs -p); do kill "$job"; done
wait
# What is ending still is no defect; what does not end is.
for ((look = 0; look < 1200; look++)); do
	processes=(/proc/[0-9]*)
	((${#processes[@]} == 1)) && break
	sleep 0.05
done
for process in "${processes[@]}"; do
	[ "$process" = "/proc/$$" ] || echo "left: process $(tr '\0' ' ' <"$process/cmdline")" >>"$EXAMPLES_MARKS"
done
for folder in /dev/shm /dev/mqueue tmp run; do
	for path in "$folder"/* "$folder"/.[!.]*; do [ ! -e "$path" ] || echo "left: $path" >>"$EXAMPLES_MARKS"; done
done
[ "$given" = "$now" ] || echo "left: files: $now" >>"$EXAMPLES_MARKS"
