"""semaphore.py post NAME | batch: as semaphore.c, by ctypes, since python itself has no named semaphores."""
import ctypes
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p


def open_semaphore(name):
    semaphore = libc.sem_open(name.encode(), 0)
    if not semaphore:
        raise OSError(ctypes.get_errno(), name)
    return ctypes.c_void_p(semaphore)


if sys.argv[1] == "post":
    libc.sem_post(open_semaphore(sys.argv[2]))
else:
    semaphores = {}
    calls = {"wait": libc.sem_wait, "post": libc.sem_post}
    for line in sys.stdin:
        word, name = line.split()
        if name not in semaphores:
            semaphores[name] = open_semaphore(name)
        print("ok" if calls[word](semaphores[name]) == 0 else "no", flush=True)
