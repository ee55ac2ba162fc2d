package confine

import (
	"encoding/json"
	"fmt"
	"sync"
	"syscall"
)

// defaultPidsLimit is podman's default.
const defaultPidsLimit = 2048

// resources adds default limits, because all containers and PID 1 share one pool: of processes and
// threads, and of memory. The limit of memory also bounds what has no limit of its own per
// container: pipes, files, sockets, timers and watches of inotify and epoll.
func resources(data json.RawMessage) (json.RawMessage, error) {
	limits := map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &limits); err != nil {
			return nil, err
		}
	}
	if !has(limits, "pids") {
		limits["pids"] = json.RawMessage(fmt.Sprintf(`{"limit":%d}`, defaultPidsLimit))
	}
	memory := map[string]json.RawMessage{}
	if has(limits, "memory") {
		if err := json.Unmarshal(limits["memory"], &memory); err != nil {
			return nil, err
		}
	}
	if !has(memory, "limit") {
		if most := defaultMemoryLimit(); most > 0 {
			text, err := json.Marshal(most)
			if err != nil {
				return nil, err
			}
			memory["limit"] = text
			if limits["memory"], err = json.Marshal(memory); err != nil {
				return nil, err
			}
		}
	}
	return json.Marshal(limits)
}

// defaultMemoryLimit returns four fifths of the machine's memory, or 0 if it is unknown.
var defaultMemoryLimit = sync.OnceValue(func() uint64 {
	var machine syscall.Sysinfo_t
	if err := syscall.Sysinfo(&machine); err != nil {
		return 0
	}
	return uint64(machine.Totalram) * uint64(machine.Unit) / 5 * 4 &^ 4095
})
