# SPDX-License-Identifier: Apache-2.0
"""Why an aim is missed, as far as it was found out; shown only beside an aim that is. Found by leaving parts of the BPF program
out, one at a time, and measuring the variants in turn against the same floor."""
ENTRY = ("of about 210 ns above the floor, putting 152 bytes into the kernel's ring buffer takes 105 (its spin lock, its atomic "
         "commit, the copy; a ring of plumb's own in a mapped array took 45 less), the plan 65 (half of it strncpy_from_user, the rest "
         "is reading the plan's constants at run time: the verifier removes dead branches but does not fold loads), the clock 45")
CALL = ("of about 220 ns above the floor, the plan takes 55, shipping 60, two clock readings 45, the atomic counters 10 to 25; "
        "bpftrace's equivalent costs 3 to 6 x the floor here instead of the 9 x that the aim was set by")
ERRORS = ("of about 170 ns above the floor, the plan takes 70 (captures are made before it is known that the call fails), two clock "
          "readings 50, the atomic counters 30 (undecided and errors are added to even when they are 0)")
STAT = ("of about 105 ns above the floor, two clock readings take 50, the atomic counters 15; against bpftrace the floor alone is "
        "0.75 x its hist(), which leaves 60 ns for everything")
RATE = ("a record costs the agent 155 ns and the terminal 16, so a core could take 6 M/s; what overflows is one ring of 4 MiB in 25 ms, "
        "when the reader does not get a CPU for that long. 40 % of the agent's time is buf_add and memmove, called for each field")
REST_CPU = "records are polled for every 40 ms while there are any; the rest is the tick every 200 ms that sums all counters"
REST_RSS = "BPF objects stay open with their skeletons: about 1 MB private for each probe"
REST_WAKE = "the poll every 40 ms is 25/s by itself; the agent's tick and the guard's add 5 each"
GROWTH = ""
REAL = ("the aim was set where a single step cost 21,000 ns; today bpftrace's cost on such a function is {step:.0f} ns here, and even "
        "an empty session program on a cheap instruction is {least:.2f} x that")
SHARE = ""
FIRST_COLD = "nearly all of it is inflating the compressed .debug_* sections whole, for each request anew: nothing is kept by build-id"
FIRST_WARM = FIRST_COLD
FIRST_RSS = "the resolver holds the inflated sections whole"
GLOB = "globs are not in this version"
