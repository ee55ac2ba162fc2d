package emulator

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"lkt/vmware/backdoor"
)

const (
	// The instructions in eax,dx; cpuid; int3.
	opcodeIn    = 0xed
	opcodeTrap  = 0xcc
	cpuidFirst  = 0x0f
	cpuidSecond = 0xa2

	waitAll      = syscall.WALL
	waitOfThread = 0x20000000 // __WNOTHREAD
	killAtExit   = 0x100000   // PTRACE_O_EXITKILL
	auxEntry     = 9
)

// Machine is a program that runs as on VMware, with all processes that it starts.
type Machine struct {
	PID    int
	result chan result
}

type result struct {
	status syscall.WaitStatus
	err    error
}

// Start starts a program with a host.
func Start(h *Host, path string, args []string, attributes *syscall.ProcAttr) (*Machine, error) {
	m := &Machine{result: make(chan result, 1)}
	started := make(chan error)
	go func() {
		// A tracer is a thread. The kernel kills what it traces when it ends.
		runtime.LockOSThread()
		t := &tracer{host: h, known: map[int]bool{}, entries: map[int]entry{}}
		var err error
		attributes.Sys.Ptrace = true
		if m.PID, err = syscall.ForkExec(path, args, attributes); err != nil {
			started <- err
			return
		}
		err = t.begin(m.PID)
		started <- err
		if err != nil {
			return
		}
		status, err := t.follow(m.PID)
		m.result <- result{status, err}
	}()
	return m, <-started
}

// Wait waits until the program ends.
func (m *Machine) Wait() (syscall.WaitStatus, error) {
	r := <-m.result
	return r.status, r.err
}

// Kill ends the program.
func (m *Machine) Kill() error { return syscall.Kill(m.PID, syscall.SIGKILL) }

type tracer struct {
	host *Host
	// known are the threads whose first stop is over.
	known map[int]bool
	// entries are the programs that the dynamic loader prepares, by thread.
	entries map[int]entry
}

// entry is the first instruction of a program, where it stops once.
type entry struct {
	address uint64
	code    byte
}

func (t *tracer) begin(pid int) error {
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, waitAll, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("the program ended at its start: %#x", status)
	}
	const options = syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEFORK | syscall.PTRACE_O_TRACEVFORK | syscall.PTRACE_O_TRACEEXEC | killAtExit
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	t.known[pid] = true
	if err := t.stopAtEntry(pid); err != nil {
		return err
	}
	return syscall.PtraceCont(pid, 0)
}

// follow handles the stops of all threads until the program ends.
func (t *tracer) follow(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, waitAll|waitOfThread, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case status.Exited() || status.Signaled():
			delete(t.known, tid)
			if tid == pid {
				return status, nil
			}
			continue
		}
		signal, err := t.stopped(tid, status)
		// A thread that was killed meanwhile is gone.
		if err != nil && err != syscall.ESRCH {
			return 0, fmt.Errorf("thread %d: %w", tid, err)
		}
		if err := syscall.PtraceCont(tid, int(signal)); err != nil && err != syscall.ESRCH {
			return 0, err
		}
	}
}

// stopped handles a stop, and returns the signal for the thread.
func (t *tracer) stopped(tid int, status syscall.WaitStatus) (syscall.Signal, error) {
	signal := status.StopSignal()
	isFirst := !t.known[tid]
	t.known[tid] = true
	switch {
	case signal == syscall.SIGSTOP && isFirst:
		return 0, nil
	case signal == syscall.SIGTRAP && status.TrapCause() == syscall.PTRACE_EVENT_EXEC:
		return 0, t.stopAtEntry(tid)
	case signal == syscall.SIGTRAP && status.TrapCause() > 0:
		return 0, nil
	case signal == syscall.SIGTRAP:
		return t.trapped(tid)
	case signal == syscall.SIGSEGV:
		return t.faulted(tid)
	}
	return signal, nil
}

// stopAtEntry lets a program stop when the dynamic loader is done.
func (t *tracer) stopAtEntry(pid int) error {
	address, err := entryOf(pid)
	if err != nil {
		return err
	}
	var code [1]byte
	if _, err := syscall.PtracePeekText(pid, uintptr(address), code[:]); err != nil {
		return err
	}
	t.entries[pid] = entry{address, code[0]}
	_, err = syscall.PtracePokeText(pid, uintptr(address), []byte{opcodeTrap})
	return err
}

func entryOf(pid int) (uint64, error) {
	vector, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, err
	}
	for ; len(vector) >= 16; vector = vector[16:] {
		if binary.LittleEndian.Uint64(vector) == auxEntry {
			return binary.LittleEndian.Uint64(vector[8:]), nil
		}
	}
	return 0, fmt.Errorf("process %d has no entry point", pid)
}

// trapped handles a stop at the entry or at a replaced cpuid instruction.
func (t *tracer) trapped(tid int) (syscall.Signal, error) {
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &r); err != nil {
		return 0, err
	}
	if e, found := t.entries[tid]; found && r.Rip == e.address+1 {
		delete(t.entries, tid)
		r.Rip--
		if _, err := syscall.PtracePokeText(tid, uintptr(e.address), []byte{e.code}); err != nil {
			return 0, err
		}
		if err := syscall.PtraceSetRegs(tid, &r); err != nil {
			return 0, err
		}
		return 0, replaceCPUID(tid, e.address)
	}
	var code [2]byte
	if _, err := syscall.PtracePeekText(tid, uintptr(r.Rip-1), code[:]); err != nil || code != [2]byte{opcodeTrap, cpuidSecond} {
		return syscall.SIGTRAP, err
	}
	answer := describe(uint32(r.Rax), uint32(r.Rcx))
	r.Rax, r.Rbx, r.Rcx, r.Rdx = uint64(answer.AX), uint64(answer.BX), uint64(answer.CX), uint64(answer.DX)
	r.Rip++
	return 0, syscall.PtraceSetRegs(tid, &r)
}

// describe describes the processor of this machine, with VMware's signature.
func describe(leaf, part uint32) backdoor.Registers {
	word := func(text string) uint32 { return binary.LittleEndian.Uint32([]byte(text)) }
	switch leaf {
	case 1:
		r := backdoor.CPUID(leaf, part)
		r.CX |= 1 << 31
		return r
	case 0x40000000:
		return backdoor.Registers{AX: 0x40000010, BX: word("VMwa"), CX: word("reVM"), DX: word("ware")}
	case 0x40000010:
		return backdoor.Registers{}
	}
	return backdoor.CPUID(leaf, part)
}

// symbol is the only function of lkt's programs that runs cpuid. A search of all code would also
// find the bytes of cpuid inside of other instructions.
const symbol = "lkt/vmware/backdoor.cpuid.abi0"

// replaceCPUID lets the cpuid instructions of a program and of VMware's library trap.
func replaceCPUID(pid int, start uint64) error {
	file, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return err
	}
	defer file.Close()
	if symbols, err := file.Symbols(); err == nil {
		for _, s := range symbols {
			if s.Name == symbol {
				from := s.Value + start - file.Entry
				return replaceWithin(pid, from, from+s.Size)
			}
		}
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return err
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.Contains(fields[1], "x") || !isVMware(fields[5], exe) {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(low, 16, 64)
		if err != nil {
			return err
		}
		to, err := strconv.ParseUint(high, 16, 64)
		if err != nil {
			return err
		}
		if err := replaceWithin(pid, from, to); err != nil {
			return err
		}
	}
	return nil
}

// isVMware reports whether a file is a program or library of open-vm-tools.
func isVMware(path, exe string) bool {
	return strings.Contains(path, "/libvmtools.so") || path == exe && strings.Contains(path, "/vm")
}

func replaceWithin(pid int, from, to uint64) error {
	code := make([]byte, to-from)
	if _, err := syscall.PtracePeekText(pid, uintptr(from), code); err != nil {
		return err
	}
	for at := 0; ; at++ {
		next := bytes.Index(code[at:], []byte{cpuidFirst, cpuidSecond})
		if next < 0 {
			return nil
		}
		at += next
		if _, err := syscall.PtracePokeText(pid, uintptr(from)+uintptr(at), []byte{opcodeTrap}); err != nil {
			return err
		}
	}
}

// faulted handles an access to the port. Other faults are the program's.
func (t *tracer) faulted(tid int) (syscall.Signal, error) {
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &r); err != nil {
		return 0, err
	}
	var code [1]byte
	if _, err := syscall.PtracePeekText(tid, uintptr(r.Rip), code[:]); err != nil || code[0] != opcodeIn || r.Rdx&0xffff != 0x5658 || t.host.IsRestricted {
		return syscall.SIGSEGV, nil
	}
	c := backdoor.Registers{AX: uint32(r.Rax), BX: uint32(r.Rbx), CX: uint32(r.Rcx), DX: uint32(r.Rdx), SI: uint32(r.Rsi), DI: uint32(r.Rdi)}
	if err := t.host.Call(&c); err != nil {
		return 0, err
	}
	r.Rax, r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi = uint64(c.AX), uint64(c.BX), uint64(c.CX), uint64(c.DX), uint64(c.SI), uint64(c.DI)
	r.Rip++
	return 0, syscall.PtraceSetRegs(tid, &r)
}
