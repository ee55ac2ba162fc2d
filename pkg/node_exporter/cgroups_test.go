package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cgroupfs returns a machine with the given files below /sys/fs/cgroup.
func cgroupfs(t *testing.T, files map[string]string) machine {
	t.Helper()
	m := procfs(t, map[string]string{"diskstats": " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11\n"})
	m.sys, m.cgroups = t.TempDir(), true
	for name, text := range files {
		path := filepath.Join(m.sys, "fs/cgroup", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestContainers(t *testing.T) {
	m := cgroupfs(t, map[string]string{
		"cgroup.controllers":     "cpu io memory pids\n",
		"cpu.stat":               "usage_usec 5000000\nuser_usec 1\nbroken\n",
		"web/cpu.stat":           "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 250000\n",
		"web/cpu.max":            "50000 100000\n",
		"web/memory.current":     "1000\n",
		"web/memory.stat":        "anon 300\nfile 600\nfile_mapped 20\ninactive_file 400\n",
		"web/memory.max":         "max\n",
		"web/memory.events":      "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n",
		"web/io.stat":            "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 rbytes=9\n254:1\n",
		"web/pids.current":       "12\n",
		"web/pids.max":           "64\n",
		"web/cpu.pressure":       "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 total=x\n",
		"web/inner/pids.current": "2\n",
	})
	text := m.metrics()
	for _, want := range []string{
		`container_cpu_usage_seconds_total{id="/",name=""} 5`,
		`container_cpu_usage_seconds_total{id="/web",name="web"} 1.5`,
		`container_cpu_user_seconds_total{id="/web",name="web"} 1`,
		`container_cpu_system_seconds_total{id="/web",name="web"} 0.5`,
		`container_cpu_cfs_throttled_periods_total{id="/web",name="web"} 3`,
		`container_cpu_cfs_throttled_seconds_total{id="/web",name="web"} 0.25`,
		`container_spec_cpu_quota{id="/web",name="web"} 50000`,
		`container_spec_cpu_period{id="/web",name="web"} 100000`,
		`container_memory_usage_bytes{id="/web",name="web"} 1000`,
		`container_memory_working_set_bytes{id="/web",name="web"} 600`,
		`container_memory_rss{id="/web",name="web"} 300`,
		`container_memory_cache{id="/web",name="web"} 600`,
		`container_spec_memory_limit_bytes{id="/web",name="web"} 0`,
		`container_memory_failcnt{id="/web",name="web"} 4`,
		`container_oom_events_total{id="/web",name="web"} 1`,
		`container_fs_reads_bytes_total{id="/web",name="web",device="/dev/vda"} 1`,
		`container_fs_writes_total{id="/web",name="web",device="/dev/vda"} 4`,
		`container_fs_reads_bytes_total{id="/web",name="web",device="7:0"} 9`,
		`container_threads{id="/web",name="web"} 12`,
		`container_threads_max{id="/web",name="web"} 64`,
		`container_threads{id="/web/inner",name="inner"} 2`,
		`container_pressure_cpu_waiting_seconds_total{id="/web",name="web"} 2`,
		`node_scrape_collector_success{collector="cgroup"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, "stalled") || strings.Contains(text, `device="254:1"`) {
		t.Error(text)
	}
	m.cgroups = false
	if text := m.metrics(); strings.Contains(text, "container_") {
		t.Error("exported although switched off")
	}
}

func TestContainersBounds(t *testing.T) {
	long := strings.Repeat("x", maxCgroupID)
	files := map[string]string{"cgroup.controllers": "", long + "/pids.current": "1\n"}
	for i := range maxCgroups - 2 {
		files[fmt.Sprintf("c%d/pids.current", i)] = "1\n"
	}
	var out output
	err := containers(cgroupfs(t, files), &out)
	if err == nil || !strings.Contains(err.Error(), "160 bytes") || strings.Contains(err.Error(), "others") {
		t.Error(err)
	}
	if got := strings.Count(out.text(), "container_threads{"); got != maxCgroups-2 {
		t.Errorf("%d cgroups", got)
	}
	files["d/pids.current"], files["e/pids.current"] = "1\n", "1\n"
	out = output{}
	err = containers(cgroupfs(t, files), &out)
	if err == nil || !strings.Contains(err.Error(), "more than 256 cgroups") {
		t.Error(err)
	}
	if got := strings.Count(out.text(), "container_threads{"); got != maxCgroups-1 {
		t.Errorf("%d cgroups", got)
	}
	if err := containers(cgroupfs(t, nil), &out); err == nil {
		t.Error("accepted without cgroup v2")
	}
}

func FuzzContainers(f *testing.F) {
	f.Add("usage_usec 1\n", "254:0 rbytes=1\n", "some total=5\n", "7")
	f.Fuzz(func(t *testing.T, stat, io, pressure, number string) {
		m := cgroupfs(t, map[string]string{
			"cgroup.controllers": "", "a/cpu.stat": stat, "a/memory.stat": stat, "a/memory.events": stat, "a/io.stat": io,
			"a/cpu.pressure": pressure, "a/cpu.max": number, "a/memory.current": number, "a/memory.max": number, "a/pids.max": number,
		})
		var out output
		_ = containers(m, &out)
		checkLines(t, out.text())
	})
}
