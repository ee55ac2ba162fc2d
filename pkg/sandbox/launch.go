package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// self is the program of this process.
const self = "/proc/self/exe"

// Start starts this program in the role, with setup for its [Load]. Standard input is /dev/null,
// and standard output is this process's standard error. files are the descriptors from 3. They are
// closed here; all others stay closed there.
func (r Role) Start(setup any, files ...int) error {
	_, err := r.StartProcess(setup, 2, files...)
	return err
}

// StartProcess is Start with log as standard output and standard error. It returns the process ID.
func (r Role) StartProcess(setup any, log int, files ...int) (pid int, err error) {
	if r.Programs {
		return 0, errPrograms
	}
	environment, err := r.environment(setup)
	if err != nil {
		return 0, err
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("/dev/null: %w", err)
	}
	defer unix.Close(null)
	if err := closeOnExec(); err != nil {
		return 0, err
	}
	passed := []uintptr{uintptr(null), uintptr(log), uintptr(log)}
	for _, fd := range files {
		passed = append(passed, uintptr(fd))
	}
	failure := make(chan error)
	go func() {
		// The thread keeps the role's privileges, and ends with this goroutine.
		runtime.LockOSThread()
		err := r.confineThread()
		if err == nil {
			pid, err = syscall.ForkExec(self, []string{r.Name}, &syscall.ProcAttr{Dir: "/", Env: environment, Files: passed})
		}
		failure <- err
	}()
	if err := <-failure; err != nil {
		return 0, fmt.Errorf("start %s: %w", r.Name, withFix(err))
	}
	for _, fd := range files {
		unix.Close(fd)
	}
	return pid, nil
}

// Exec replaces this process by this program in the role. files stay open, with their numbers, and
// so do the standard ones. Exec returns only on error, after which the process must end.
func (r Role) Exec(setup any, files ...int) error {
	if r.Programs {
		return errPrograms
	}
	environment, err := r.environment(setup)
	if err != nil {
		return err
	}
	if err := closeOnExec(); err != nil {
		return err
	}
	for _, fd := range files {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep file descriptor %d: %w", fd, err)
		}
	}
	// execve ends the other threads.
	runtime.LockOSThread()
	if err := r.confineThread(); err != nil {
		return fmt.Errorf("switch to role %s: %w", r.Name, withFix(err))
	}
	return os.NewSyscallError("execve", syscall.Exec(self, []string{r.Name}, environment))
}

var errPrograms = errors.New("the role is for processes that start programs")

// closeOnExec closes all descriptors except the standard ones in programs that this one executes.
func closeOnExec() error {
	if err := unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("close_range: %w", err)
	}
	return nil
}

// withFix adds to EPERM the capabilities that the container lacks.
func withFix(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w\n  fix: give the container the capabilities that the package's build.yml lists", err)
	}
	return err
}
