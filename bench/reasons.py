# SPDX-License-Identifier: Apache-2.0
"""What is known about an aim that is missed. "Measured" is the difference when that part of the BPF program was left out, in turn
with the whole one; the same binary against itself differs by up to 20 ns (0.1 x) on a busy machine, so smaller parts are not told
apart. "Not proven" marks what was read in the code or guessed."""
ENTRY = ("measured, of about 165 ns above the floor: putting the record into the kernel's ring 55 (the same for 104 bytes as for 152, so "
         "not the copy), reading the text 50, the clock 24, all else 36. Going from 418 to 367 BPF instructions gave 8 ns, from there to "
         "357 nothing that could be told from noise")
CALL = "of about 250 ns above the floor (measured): shipping, text and clock cost what they cost an entry (not measured again): 55, 50 and twice 24"
CALL_PEER = "the aim implies that bpftrace costs 9 x the floor (1.35 / 0.15); see its row for what it costs here"
ERRORS = "of about 175 ns above the floor (measured): the text and two clock readings, 50 and 48 (as measured for an entry); the rest is not told apart"
STAT = "of about 120 ns above the floor (measured): two clock readings 48 (as measured for an entry); the rest is not told apart"
STAT_PEER = "the floor alone is 0.7 to 0.75 x bpftrace's hist(), so 0.85 x leaves about 1.15 x the floor"
RATE = ("load average when it was measured: %.1f, on 2 processors. Measured: agent and terminal take 115 to 165 and 40 ns for a record, under "
        "a third of a processor at 1.5 M/s; while little else ran two threads flat out made 2.05 M calls/s and none was lost in two runs of three "
        "(the third: 0.25 %% lost at 1.7 M/s). At a load average of 9 the target itself makes no more than 0.6 to 0.9 M calls/s: such a figure is the "
        "target's. Not proven: what is lost then is lost while two threads that call without a rest keep the agent from a processor for the 10 to 20 ms "
        "that a ring of 2 MiB lasts")
REST_CPU = "measured: 0.21 to 0.25 % in four runs, at load averages of up to 9; 0.06 % of it without any hit (the guard's two looks a second), the rest is 20 polls a second"
REST_RSS = "measured: 14 to 16 MB, of which 1.2 to 1.8 MB are private; the rings, mapped twice, are 8 MB by their size"
REST_WAKE = "measured: 22/s: 20 polls while there are events, 2 looks of the guard"
PLAN = ("measured: a captured value costs 2 to 5 ns, and the steps between two plans are smaller than the noise of a busy machine (100 ns). What is "
        "a step: events above 256 bytes, which is 25 captured integers, are not built on the stack but in the thread's storage (379 instructions "
        "then, 340 before), and from the ninth operation on the program loops over eight unrolled ones (340 instructions for 8 values as for 25)")
TEXT = ("not seen in 3 runs (0.85 to 0.87): 0.3 ns a byte, linear from 256 bytes on; a step would be the text's detour by the stack, up to "
        "128 bytes only")
THREADS = ("not seen in 2 runs (0.91 with 16 threads): counters, rings and task storage are each CPU's or thread's own; what two CPUs share is read "
           "only, except where an agent sleeps and is to be woken")
ELSEWHERE = ("not seen in 2 runs (0.96 with 10,000): a breakpoint is found in a tree by file and offset, then one program runs whatever the others are")
REAL = ("bpftrace costs {step:.0f} ns on such a function here, and an empty session program on a cheap instruction is {least:.2f} x "
        "that already: the aim was set by a single step of 21,000 ns")
SHARE = ("measured (site_census -v): of redis-server's 493 functions without one, 281 move the stack pointer by `sub` before anything cheap, 201 return "
         "before; of libstdc++'s 733, 563 return before (a few instructions, none of them cheap), 86 jump through a register or memory, 74 `sub`")
FIRST_COLD = "the part above the warm figure is reading from the disk: some thousand pages of the file and of plumb's cache, one at a time"
FIRST_WARM = ("measured (medians of 7 and 5, load average 6 to 10): libjvm 28 and 28 ms, ceph-osd 50 and 38 (an agent whose children do not stay, in the "
              "same rounds: 85, 102, 179, 165). Of the 21 ms of a small program plumb's own start takes 5, looking at the process 2, "
              "the kernel's check of the program 9.5, half of that the walk through it")
FIRST_NEW = ("measured: libjvm 54 and 58 ms, ceph-osd 198 and 163, where the reader of the file starts from nothing: libdw touches the headers of all units "
             "before the wanted one, each a page fault and the check of a chunk, and of ceph's OSD.cc 99,000 DIEs are walked over, about 35 ms. "
             "Its child keeps both for the next question about the file")
FIRST_RSS = ("measured: 50 MB for libjvm, 70 MB for ceph-osd, 23 MB for a small program: the agent and the child that stays, which share 13 MB of libraries")
GLOB = "one link's part of it is the kernel's: see the first row"
COLLECTOR_RATE = ("the agent's one thread is the limit, and on two virtual CPUs that others load it has less than one. Of its CPU samples (measured) "
                  "taking records apart into columns has 36 %, decode 24 %, writing columns as bits 18 %, libdeflate 12 %, kernel and the rest 10 %")
COLLECTOR_BYTES = ("the random values of this generator alone carry 5.8 bytes a record (12 + 12 bits of size and duration, 11 of the time between calls, "
                   "6.6 of the user, 4 of thread and probe); records in rows take 16.4, deflated columns of bytes 9.05, columns of bits 7.24")
COLLECTOR_PROBE = "see the table: where nothing was lost, the target, which shares the CPUs with its readers, made no more calls"
COLLECTOR_RSS = "not seen: 18.6 MiB at its largest"
COLLECTOR_ANSWERS = "not seen: 93 ms for the slowest (one day in steps of ten minutes, 44 million calls) on a quiet machine; all else has room"
