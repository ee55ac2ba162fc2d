package shutdown

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"lkt/sandbox"
)

// obeyAll returns the signals that PID 1 gets for requests of an agent that then ends, and the
// error.
func obeyAll(t *testing.T, requests ...string) (got []syscall.Signal, err error) {
	t.Helper()
	ours, theirs, err := sandbox.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(int(ours))
	for _, text := range requests {
		if m, found := Parse(text); found {
			err = Request(theirs, m)
		} else {
			err = theirs.Send([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	syscall.Close(int(theirs))
	err = Agent{"test", ours}.obey(func(s syscall.Signal) error {
		got = append(got, s)
		return nil
	})
	return got, err
}

func TestObeySignalsPID1AsRequested(t *testing.T) {
	got, err := obeyAll(t, "reboot", "halt", "powerdown")
	want := []syscall.Signal{syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2}
	if !slices.Equal(got, want) || err == nil || err.Error() != "the agent ended" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestObeyRejectsOtherRequests(t *testing.T) {
	for _, text := range []string{"x", "rr", "\x00", strings.Repeat("r", sandbox.MaxMessage)} {
		got, err := obeyAll(t, "powerdown", text, "reboot")
		if err == nil || !strings.HasPrefix(err.Error(), "the agent requested ") || !slices.Equal(got, []syscall.Signal{syscall.SIGUSR2}) {
			t.Errorf("%.10q: %v, %v", text, got, err)
		}
	}
}

func TestParseKnowsEachName(t *testing.T) {
	for m := range modes {
		if got, found := Parse(m.String()); got != m || !found {
			t.Errorf("%v: %v, %v", m, got, found)
		}
	}
	if m, found := Parse("hibernate"); found {
		t.Error(m)
	}
}
