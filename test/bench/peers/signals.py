"""signals.py recv FILE COUNT [flush]: as signals.c; the value is the one thing that Python does not tell."""
import os
import signal
import sys

_, path, count, *rest = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
with open(path, "w") as file:
    print(os.getpid(), file=file)
for _ in range(int(count)):
    info = signal.sigwaitinfo({signal.SIGRTMIN})
    sys.stdout.write(f"RTMIN {info.si_pid} {info.si_uid}\n")
    if rest == ["flush"]:
        sys.stdout.flush()
