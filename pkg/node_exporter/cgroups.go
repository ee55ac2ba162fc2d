package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Containers may make cgroups of their own: limits on what a scrape reads and returns.
const (
	maxCgroups       = 256
	maxCgroupID      = 160
	maxCgroupDevices = 64
)

// containers exports the accounts of the cgroups, which are those of containers, with the names of
// cAdvisor's metrics. The label name is the last component of the path, id.
func containers(m machine, out *output) error {
	if !m.cgroups {
		return nil
	}
	devices, err := m.blockDevices()
	if err != nil {
		return err
	}
	top := filepath.Join(m.sys, "fs/cgroup")
	if _, err := os.Stat(filepath.Join(top, "cgroup.controllers")); err != nil {
		return fmt.Errorf("cgroup v2: %w", err)
	}
	walk := cgroupWalk{top: top, devices: devices, out: out}
	return walk.below("/")
}

type cgroupWalk struct {
	top     string
	devices map[string]string
	out     *output
	count   int
}

// below exports a cgroup and those below it.
func (w *cgroupWalk) below(id string) error {
	if len(id) > maxCgroupID {
		return fmt.Errorf("cgroup %.40s…: its path has more than %d bytes", id, maxCgroupID)
	}
	if w.count++; w.count > maxCgroups {
		return nil
	}
	w.export(id)
	entries, err := os.ReadDir(filepath.Join(w.top, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it ended meanwhile
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, w.below(path.Join(id, entry.Name())))
		}
	}
	if id == "/" && w.count > maxCgroups {
		return fmt.Errorf("more than %d cgroups: the others are missing", maxCgroups)
	}
	return err
}

func (w *cgroupWalk) export(id string) {
	name := strings.TrimPrefix(path.Base(id), "/")
	c := cgroup{dir: filepath.Join(w.top, id), labels: []string{"id", id, "name", name}, out: w.out}
	c.processors()
	c.memory()
	c.disks(w.devices)
	c.value("pids.current", "container_threads", 1)
	c.value("pids.max", "container_threads_max", 1)
	c.pressure()
}

// cgroup is a cgroup of which metrics are exported. A missing file, of a controller that the kernel
// lacks or of a cgroup that ended, has none.
type cgroup struct {
	dir    string
	labels []string
	out    *output
}

// value exports a file with one number as a gauge. The value of `max`, no limit, is 0, as
// cAdvisor's.
func (c cgroup) value(file, name string, unit float64) (value float64, found bool) {
	text, err := readFile(filepath.Join(c.dir, file))
	word := strings.TrimSpace(text)
	if err != nil || word == "" {
		return 0, false
	}
	value = numbers([]string{word})[0] * unit
	if name != "" {
		c.out.gauge(name, value, c.labels...)
	}
	return value, true
}

// table returns the lines `key number` of a file.
func (c cgroup) table(file string) map[string]float64 {
	text, _ := readFile(filepath.Join(c.dir, file))
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 2 {
			values[words[0]] = numbers(words[1:])[0]
		}
	}
	return values
}

// field is a number of a file, and the metric that has it.
type field struct {
	key, name string
	unit      float64
	gauge     bool
}

func (c cgroup) fields(values map[string]float64, fields []field) {
	for _, f := range fields {
		value, found := values[f.key]
		if !found {
			continue
		}
		add := c.out.counter
		if f.gauge {
			add = c.out.gauge
		}
		add(f.name, value*f.unit, c.labels...)
	}
}

func (c cgroup) processors() {
	c.fields(c.table("cpu.stat"), []field{
		{"usage_usec", "container_cpu_usage_seconds_total", 1e-6, false},
		{"user_usec", "container_cpu_user_seconds_total", 1e-6, false},
		{"system_usec", "container_cpu_system_seconds_total", 1e-6, false},
		{"nr_periods", "container_cpu_cfs_periods_total", 1, false},
		{"nr_throttled", "container_cpu_cfs_throttled_periods_total", 1, false},
		{"throttled_usec", "container_cpu_cfs_throttled_seconds_total", 1e-6, false},
	})
	text, _ := readFile(filepath.Join(c.dir, "cpu.max"))
	if words := strings.Fields(text); len(words) == 2 && words[0] != "max" {
		limit := numbers(words)
		c.out.gauge("container_spec_cpu_quota", limit[0], c.labels...)
		c.out.gauge("container_spec_cpu_period", limit[1], c.labels...)
	}
}

func (c cgroup) memory() {
	values := c.table("memory.stat")
	c.fields(values, []field{
		{"anon", "container_memory_rss", 1, true},
		{"file", "container_memory_cache", 1, true},
		{"file_mapped", "container_memory_mapped_file", 1, true},
	})
	if usage, found := c.value("memory.current", "container_memory_usage_bytes", 1); found {
		// Without the pages that the kernel can drop at once.
		c.out.gauge("container_memory_working_set_bytes", max(0, usage-values["inactive_file"]), c.labels...)
	}
	c.value("memory.peak", "container_memory_max_usage_bytes", 1)
	c.value("memory.swap.current", "container_memory_swap", 1)
	c.value("memory.max", "container_spec_memory_limit_bytes", 1)
	c.fields(c.table("memory.events"), []field{
		{"max", "container_memory_failcnt", 1, false},
		{"oom_kill", "container_oom_events_total", 1, false},
	})
}

// ioMetrics are the counters of io.stat by their keys.
var ioMetrics = map[string]string{
	"rbytes": "container_fs_reads_bytes_total", "wbytes": "container_fs_writes_bytes_total",
	"rios": "container_fs_reads_total", "wios": "container_fs_writes_total",
}

// disks exports lines of io.stat: "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
func (c cgroup) disks(devices map[string]string) {
	text, _ := readFile(filepath.Join(c.dir, "io.stat"))
	count := 0
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || count == maxCgroupDevices {
			continue
		}
		count++
		device := words[0]
		if name, known := devices[device]; known {
			device = "/dev/" + name
		}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			if name, known := ioMetrics[key]; known {
				c.out.counter(name, numbers([]string{value})[0], slices.Concat(c.labels, []string{"device", device})...)
			}
		}
	}
}

// pressure exports the time in which tasks waited: "some avg10=0.00 avg60=0.00 total=5".
func (c cgroup) pressure() {
	for _, resource := range []string{"cpu", "memory", "io"} {
		text, _ := readFile(filepath.Join(c.dir, resource+".pressure"))
		for line := range strings.Lines(text) {
			kind, _, _ := strings.Cut(line, " ")
			_, total, found := strings.Cut(strings.TrimSpace(line), "total=")
			name, known := map[string]string{"some": "waiting", "full": "stalled"}[kind]
			if microseconds, err := strconv.ParseUint(total, 10, 64); found && known && err == nil {
				c.out.counter("container_pressure_"+resource+"_"+name+"_seconds_total", float64(microseconds)*1e-6, c.labels...)
			}
		}
	}
}

// blockDevices returns the names of block devices by their numbers, as in io.stat.
func (m machine) blockDevices() (map[string]string, error) {
	text, err := m.read("diskstats")
	devices := map[string]string{}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 2 {
			devices[words[0]+":"+words[1]] = words[2]
		}
	}
	return devices, err
}
