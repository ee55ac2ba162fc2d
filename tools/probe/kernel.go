package main

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkKernel tries actions that a locked down kernel rejects, and prints its configuration,
// command line and parameters.
func checkKernel(r *report) {
	lockdown := strings.TrimSpace(readText("/host/sys/kernel/security/lockdown"))
	r.check("the kernel is locked down", unless(strings.Contains(lockdown, "[confidentiality]"), lockdown))
	_, err := os.Stat("/proc/modules")
	closed := os.IsNotExist(err) || strings.TrimSpace(readText("/proc/sys/kernel/modules_disabled")) == "1"
	r.check("no module can be loaded", unless(closed, "modules_disabled is 0"))
	address, _, _ := strings.Cut(readText("/proc/kallsyms"), " ")
	r.check("addresses of the kernel are hidden", unless(strings.Trim(address, "0") == "", address))
	file, err := os.Open("/proc/kcore")
	if err == nil {
		file.Close()
	}
	r.check("the kernel's memory is not readable", unless(err != nil, "/proc/kcore can be opened"))

	config, _ := os.ReadFile("/proc/config.gz")
	for text := base64.StdEncoding.EncodeToString(config); text != ""; {
		line := text[:min(len(text), 200)]
		r.fact("config %s", line)
		text = text[len(line):]
	}
	r.fact("cmdline %s", strings.TrimSpace(readText("/proc/cmdline")))
	for _, dir := range []string{"kernel", "fs", "vm", "user", "dev/tty", "net/core", "net/ipv4", "net/ipv6"} {
		sysctlFacts(r, dir)
	}
}

// sysctlFacts prints the parameters below a directory of /proc/sys; of interfaces only "all" and
// "default".
func sysctlFacts(r *report, dir string) {
	const root = "/proc/sys"
	filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if entry.IsDir() {
			parent := filepath.Base(filepath.Dir(path))
			if parent == "neigh" || (parent == "conf" && entry.Name() != "all" && entry.Name() != "default") {
				return fs.SkipDir
			}
			return nil
		}
		value := strings.TrimSpace(readText(path))
		if value != "" && !strings.Contains(value, "\n") {
			r.fact("sysctl %s = %s", strings.ReplaceAll(strings.TrimPrefix(path, root+"/"), "/", "."), value)
		}
		return nil
	})
}

// readText returns the content of a file, or "".
func readText(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
