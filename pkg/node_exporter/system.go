package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks per second in /proc/stat: USER_HZ, 100 on all current architectures.
const ticks = 100

var cpuModes = []string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

func cpus(m machine, out *output) error {
	text, err := m.read("stat")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 11 || !strings.HasPrefix(words[0], "cpu") || words[0] == "cpu" {
			continue
		}
		cpu := words[0][len("cpu"):]
		times := numbers(words[1:])
		for i, mode := range []string{"user", "nice"} {
			out.counter("node_cpu_guest_seconds_total", times[8+i]/ticks, "cpu", cpu, "mode", mode)
		}
		for i, mode := range cpuModes {
			out.counter("node_cpu_seconds_total", times[i]/ticks, "cpu", cpu, "mode", mode)
		}
	}
	return err
}

func statistics(m machine, out *output) error {
	text, err := m.read("stat")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		value := numbers(words[1:2])[0]
		switch words[0] {
		case "btime":
			out.gauge("node_boot_time_seconds", value)
		case "ctxt":
			out.counter("node_context_switches_total", value)
		case "processes":
			out.counter("node_forks_total", value)
		case "intr":
			out.counter("node_intr_total", value)
		case "procs_running":
			out.gauge("node_procs_running", value)
		case "procs_blocked":
			out.gauge("node_procs_blocked", value)
		}
	}
	return err
}

func load(m machine, out *output) error {
	text, err := m.read("loadavg")
	words := strings.Fields(text)
	if err == nil && len(words) < 3 {
		err = fmt.Errorf("loadavg %q", text)
	}
	for i, name := range []string{"node_load1", "node_load5", "node_load15"} {
		if err != nil {
			break
		}
		var value float64
		if value, err = strconv.ParseFloat(words[i], 64); err == nil {
			out.gauge(name, value)
		}
	}
	return err
}

// memory exports each line as a metric: "Active(anon): 12 kB" is node_memory_Active_anon_bytes.
func memory(m machine, out *output) error {
	text, err := m.read("meminfo")
	for line := range strings.Lines(text) {
		key, rest, found := strings.Cut(line, ":")
		words := strings.Fields(rest)
		if !found || len(words) == 0 {
			continue
		}
		name := "node_memory_" + strings.TrimSuffix(strings.NewReplacer("(", "_", ")", "").Replace(key), "_")
		value := numbers(words[:1])[0]
		if len(words) == 2 && words[1] == "kB" {
			out.gauge(name+"_bytes", value*1024)
		} else {
			out.gauge(name, value)
		}
	}
	return err
}

func files(m machine, out *output) error {
	text, err := m.read("sys/fs/file-nr")
	words := strings.Fields(text)
	if err != nil || len(words) != 3 {
		return fmt.Errorf("file-nr %q: %w", text, err)
	}
	values := numbers(words)
	out.gauge("node_filefd_allocated", values[0])
	out.gauge("node_filefd_maximum", values[2])
	return nil
}

func pages(m machine, out *output) error {
	text, err := m.read("vmstat")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		switch words[0] {
		case "oom_kill", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault":
			out.untyped("node_vmstat_"+words[0], numbers(words[1:])[0])
		}
	}
	return err
}

func clock(_ machine, out *output) error {
	out.gauge("node_time_seconds", float64(time.Now().UnixNano())/1e9)
	return nil
}

func names(_ machine, out *output) error {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return err
	}
	out.gauge("node_uname_info", 1, "domainname", word(u.Domainname), "machine", word(u.Machine), "nodename", word(u.Nodename),
		"release", word(u.Release), "sysname", word(u.Sysname), "version", word(u.Version))
	return nil
}

func word(field [65]int8) string {
	var text []byte
	for _, c := range field {
		if c == 0 {
			break
		}
		text = append(text, byte(c))
	}
	return string(text)
}
