package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// procfs returns a machine whose procfs has the given files.
func procfs(t *testing.T, files map[string]string) machine {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machine{proc: dir, root: "/", excluded: regexp.MustCompile("^/(proc)($|/)")}
}

func TestMetrics(t *testing.T) {
	m := procfs(t, map[string]string{
		"stat":           "cpu  1 2 3\ncpu0 100 200 300 400 500 600 700 800 900 1000\nbtime 1700000000\nctxt 5\nprocs_running 2\n",
		"meminfo":        "MemTotal: 10 kB\nActive(anon): 2 kB\nHugePages_Total: 3\nbroken\n",
		"loadavg":        "0.5 1 2 1/2 3\n",
		"diskstats":      " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11\n 254 1 vda1 1 2 3\n",
		"net/dev":        "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
		"sys/fs/file-nr": "7\t0\t9\n",
	})
	text := m.metrics()
	for _, want := range []string{
		"# TYPE node_cpu_seconds_total counter\nnode_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n",
		"node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 8\n", "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 10\n",
		"node_boot_time_seconds 1.7e+09\n", "node_memory_MemTotal_bytes 10240\n", "node_memory_Active_anon_bytes 2048\n",
		"node_memory_HugePages_Total 3\n", "node_load5 1\n", "node_disk_read_bytes_total{device=\"vda\"} 1536\n",
		"node_network_transmit_bytes_total{device=\"eth0\"} 9\n", "node_filefd_maximum 9\n",
		"node_scrape_collector_success{collector=\"loadavg\"} 1\n", "node_scrape_collector_success{collector=\"vmstat\"} 0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q", want)
		}
	}
	if strings.Contains(text, "vda1") {
		t.Error("a partition is exported")
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if seen[line] {
			t.Errorf("duplicate line: %q", line)
		}
		seen[line] = true
	}
}

func TestFilesystems(t *testing.T) {
	dir := t.TempDir()
	m := procfs(t, map[string]string{"self/mountinfo": strings.Join([]string{
		"1 0 0:1 / / rw - ext4 /dev/vda rw",
		`2 1 0:2 / ` + dir + ` ro,nosuid master:1 - xfs /dev/vd\040b rw,attr2`,
		"3 1 0:3 / " + dir + "/none rw - tmpfs none ro",
		"3 1 0:9 / " + dir + "/closed rw - tmpfs closed ro,size=1k",
		"4 1 0:4 / " + dir + "2 rw - tmpfs other rw",
		"5 1 0:5 / " + dir + "/proc rw - tmpfs proc rw",
		"6 1 0:6 / " + dir + "/sys rw - sysfs sysfs rw",
		"broken",
	}, "\n")})
	m.root = dir
	if err := os.Mkdir(dir+"/closed", 0o755); err != nil {
		t.Fatal(err)
	}
	var out output
	if err := filesystems(m, &out); err != nil {
		t.Fatal(err)
	}
	text := out.text()
	if !strings.Contains(text, `node_filesystem_readonly{device="/dev/vd b",device_error="",fstype="xfs",mountpoint="/"} 0`) {
		t.Error(text)
	}
	if !strings.Contains(text, `node_filesystem_readonly{device="closed",device_error="",fstype="tmpfs",mountpoint="/closed"} 1`) {
		t.Error(text)
	}
	if !strings.Contains(text, `node_filesystem_device_error{device="none",device_error="no such file or directory",fstype="tmpfs",mountpoint="/none"} 1`) {
		t.Error(text)
	}
	if strings.Contains(text, "other") || strings.Contains(text, "proc") || strings.Contains(text, "sysfs") {
		t.Error(text)
	}
}

func TestServer(t *testing.T) {
	handler := server("", procfs(t, nil)).Handler
	for path, want := range map[string]int{"/metrics": 200, "/": 200, "/etc/passwd": 404} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
	for _, args := range [][]string{{"--collector.systemd"}, {"x"}, {"--collector.filesystem.mount-points-exclude=("}} {
		if run(args) == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add("1 0 0:1 / /a\\040b rw - ext4 /dev/\"vda rw", " eth\\0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
	f.Fuzz(func(t *testing.T, mounts, links string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"self/mountinfo": mounts, "net/dev": links} {
			if os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755) != nil || os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) != nil {
				t.Skip()
			}
		}
		var out output
		m := machine{proc: dir, root: "/", excluded: regexp.MustCompile("^$")}
		_ = filesystems(m, &out)
		_ = network(m, &out)
		checkLines(t, out.text())
	})
}

// metricLine is a line of Prometheus' text format.
var metricLine = regexp.MustCompile(`^[a-z_]+(\{[a-z_]+="([^"\\\n]|\\[\\"n])*"(,[a-z_]+="([^"\\\n]|\\[\\"n])*")*\})? [0-9.e+-]+$`)

func checkLines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line != "" && !strings.HasPrefix(line, "# TYPE ") && !metricLine.MatchString(line) {
			t.Fatalf("%q", line)
		}
	}
}
