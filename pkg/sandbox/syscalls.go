package sandbox

import "golang.org/x/sys/unix"

// rule allows a system call whose arguments pass all checks, or fails it with errno.
type rule struct {
	number uint32
	checks []check
	errno  unix.Errno
}

// check compares the lower half of an argument: argument & mask == value.
type check struct {
	argument    uint32
	mask, value uint32
}

func equals(argument, value uint32) check { return check{argument, 0xffffffff, value} }

func call(number uint32, checks ...check) rule { return rule{number: number, checks: checks} }

// runtimeSyscalls are the calls of the Go runtime: scheduling, memory, return from a signal,
// clocks, exit, and the first calls of a new thread. None creates a thread or a process.
var runtimeSyscalls = []string{
	"gettid", "rt_sigprocmask", "rseq", "set_robust_list", "sigaltstack",
	"futex", "epoll_pwait", "nanosleep", "sched_yield", "madvise", "munmap", "mmap", "rt_sigreturn", "clock_gettime", "exit", "exit_group",
}

// threadSyscalls create threads with Go or a C library. clone3 has its flags in memory, where a
// filter cannot see them: C libraries then use clone.
var threadSyscalls = []string{"clone thread", "clone3", "mprotect"}

// namespaceFlags are the clone flags that make namespaces.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// rules are all system calls that roles may have. mmap and mprotect never make memory executable,
// and mmap maps no file. Adding a call that can execute a program or load code into the process is
// a mistake. finit_module needs a capability that one role has.
var rules = map[string]rule{
	"accept4":         call(unix.SYS_ACCEPT4),
	"adjtimex":        call(unix.SYS_ADJTIMEX),
	"bind":            call(unix.SYS_BIND),
	"clock_adjtime":   call(unix.SYS_CLOCK_ADJTIME),
	"clock_gettime":   call(unix.SYS_CLOCK_GETTIME),
	"clone thread":    call(unix.SYS_CLONE, check{0, unix.CLONE_THREAD | namespaceFlags, unix.CLONE_THREAD}),
	"clone3":          {number: unix.SYS_CLONE3, errno: unix.ENOSYS},
	"close":           call(unix.SYS_CLOSE),
	"connect":         call(unix.SYS_CONNECT),
	"epoll_ctl":       call(unix.SYS_EPOLL_CTL),
	"epoll_pwait":     call(unix.SYS_EPOLL_PWAIT),
	"exit":            call(unix.SYS_EXIT),
	"exit_group":      call(unix.SYS_EXIT_GROUP),
	"fchmod":          call(unix.SYS_FCHMOD),
	"fchmodat":        call(unix.SYS_FCHMODAT),
	"fchown":          call(unix.SYS_FCHOWN),
	"fchownat":        call(unix.SYS_FCHOWNAT),
	"fcntl":           call(unix.SYS_FCNTL),
	"finit_module":    call(unix.SYS_FINIT_MODULE),
	"fstat":           call(unix.SYS_FSTAT),
	"fsync":           call(unix.SYS_FSYNC),
	"ftruncate":       call(unix.SYS_FTRUNCATE),
	"futex":           call(unix.SYS_FUTEX),
	"getcwd":          call(unix.SYS_GETCWD),
	"getgid":          call(unix.SYS_GETGID),
	"getuid":          call(unix.SYS_GETUID),
	"getdents64":      call(unix.SYS_GETDENTS64),
	"getpeername":     call(unix.SYS_GETPEERNAME),
	"getpid":          call(unix.SYS_GETPID),
	"getrandom":       call(unix.SYS_GETRANDOM),
	"getsockname":     call(unix.SYS_GETSOCKNAME),
	"getsockopt":      call(unix.SYS_GETSOCKOPT),
	"gettid":          call(unix.SYS_GETTID),
	"ioctl FIONREAD":  call(unix.SYS_IOCTL, equals(1, 0x541b)),
	"ioctl TCFLSH":    call(unix.SYS_IOCTL, equals(1, unix.TCFLSH)),
	"ioctl TCGETS":    call(unix.SYS_IOCTL, equals(1, unix.TCGETS)),
	"ioctl TCSETS":    call(unix.SYS_IOCTL, equals(1, unix.TCSETS)),
	"linkat":          call(unix.SYS_LINKAT),
	"listen":          call(unix.SYS_LISTEN),
	"lseek":           call(unix.SYS_LSEEK),
	"madvise":         call(unix.SYS_MADVISE),
	"mkdirat":         call(unix.SYS_MKDIRAT),
	"mmap":            call(unix.SYS_MMAP, check{2, unix.PROT_EXEC, 0}, check{3, unix.MAP_ANONYMOUS, unix.MAP_ANONYMOUS}),
	"mprotect":        call(unix.SYS_MPROTECT, check{2, unix.PROT_EXEC, 0}),
	"munmap":          call(unix.SYS_MUNMAP),
	"nanosleep":       call(unix.SYS_NANOSLEEP),
	"newfstatat":      call(sysNewfstatat),
	"openat":          call(unix.SYS_OPENAT),
	"ppoll":           call(unix.SYS_PPOLL),
	"pread64":         call(unix.SYS_PREAD64),
	"pwrite64":        call(unix.SYS_PWRITE64),
	"read":            call(unix.SYS_READ),
	"readlinkat":      call(unix.SYS_READLINKAT),
	"recvfrom":        call(unix.SYS_RECVFROM),
	"recvmsg":         call(unix.SYS_RECVMSG),
	"renameat":        call(unix.SYS_RENAMEAT),
	"rseq":            call(unix.SYS_RSEQ),
	"rt_sigprocmask":  call(unix.SYS_RT_SIGPROCMASK),
	"rt_sigreturn":    call(unix.SYS_RT_SIGRETURN),
	"sched_yield":     call(unix.SYS_SCHED_YIELD),
	"sendmsg":         call(unix.SYS_SENDMSG),
	"sendto":          call(unix.SYS_SENDTO),
	"set_robust_list": call(unix.SYS_SET_ROBUST_LIST),
	"setsockopt":      call(unix.SYS_SETSOCKOPT),
	"shutdown":        call(unix.SYS_SHUTDOWN),
	"sigaltstack":     call(unix.SYS_SIGALTSTACK),
	"socket inet":     call(unix.SYS_SOCKET, equals(0, unix.AF_INET)),
	"socket inet6":    call(unix.SYS_SOCKET, equals(0, unix.AF_INET6)),
	"socket netlink":  call(unix.SYS_SOCKET, equals(0, unix.AF_NETLINK)),
	"socket unix":     call(unix.SYS_SOCKET, equals(0, unix.AF_UNIX)),
	"statfs":          call(unix.SYS_STATFS),
	"symlinkat":       call(unix.SYS_SYMLINKAT),
	"truncate":        call(unix.SYS_TRUNCATE),
	"uname":           call(unix.SYS_UNAME),
	"unlinkat":        call(unix.SYS_UNLINKAT),
	"utimensat":       call(unix.SYS_UTIMENSAT),
	"write":           call(unix.SYS_WRITE),
	"writev":          call(unix.SYS_WRITEV),
}
