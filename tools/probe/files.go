package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func checkRoot(r *report) {
	for _, dir := range []string{"/", "/usr", "/usr/bin", "/etc", "/containers"} {
		path := filepath.Join(host, dir, "probe-was-here")
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			file.Close()
			os.Remove(path)
			r.check("no write in "+dir, "a file could be made")
			continue
		}
		r.check("no write in "+dir, unless(errors.Is(err, syscall.EROFS), err.Error()))
	}
}

func unless(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}

// checkFiles searches the root file system (without mounts) for files that must not exist.
func checkFiles(r *report) {
	var setuid, writable, managers, shells, weak []string
	device := deviceOf(host)
	_ = filepath.WalkDir(host, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		stat := info.Sys().(*syscall.Stat_t)
		if entry.IsDir() && uint64(stat.Dev) != device {
			return filepath.SkipDir
		}
		name := strings.TrimPrefix(path, host)
		mode := info.Mode()
		if mode.IsRegular() && mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			setuid = append(setuid, name)
		}
		if mode.Perm()&0o002 != 0 && mode&fs.ModeSymlink == 0 && mode&fs.ModeSticky == 0 {
			writable = append(writable, name)
		}
		switch filepath.Base(name) {
		case "apt", "apt-get", "dpkg", "apk", "rpm", "dnf", "yum":
			managers = append(managers, name)
		case "sh", "bash", "dash", "ash", "busybox", "login":
			if !strings.HasPrefix(name, "/containers/") {
				shells = append(shells, name)
			}
		case "gcc", "cc", "go", "ld", "as", "tcc", "clang":
			if mode.IsRegular() && mode.Perm()&0o111 != 0 {
				managers = append(managers, name)
			}
		}
		if mode.IsRegular() && mode.Perm()&0o111 != 0 {
			if problem := hardening(path); problem != "" {
				weak = append(weak, name+": "+problem)
			}
		}
		return nil
	})
	r.check("no setuid or setgid file", strings.Join(setuid, " "))
	r.check("nothing world-writable", strings.Join(writable, " "))
	r.check("no package manager and no compiler", strings.Join(managers, " "))
	r.check("no shell outside the containers", strings.Join(shells, " "))
	r.check("every program is PIE with RELRO, BIND_NOW and no executable stack", strings.Join(weak, "; "))
}

func deviceOf(path string) uint64 {
	var stat syscall.Stat_t
	if syscall.Lstat(path, &stat) != nil {
		return 0
	}
	return uint64(stat.Dev)
}

// hardening returns the missing hardening of an ELF program, or "" for other files.
func hardening(path string) string {
	file, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	var problems []string
	if file.Type != elf.ET_DYN {
		problems = append(problems, "not PIE")
	}
	relro, stack := false, false
	for _, program := range file.Progs {
		switch program.Type {
		case elf.PT_GNU_RELRO:
			relro = true
		case elf.PT_GNU_STACK:
			stack = program.Flags&elf.PF_X == 0
		}
	}
	if !relro {
		problems = append(problems, "no RELRO")
	}
	if !stack {
		problems = append(problems, "executable stack")
	}
	if !bindNow(file) {
		problems = append(problems, "no BIND_NOW")
	}
	return strings.Join(problems, ", ")
}

func bindNow(file *elf.File) bool {
	if flags, err := file.DynValue(elf.DT_FLAGS); err == nil && len(flags) > 0 && elf.DynFlag(flags[0])&elf.DF_BIND_NOW != 0 {
		return true
	}
	if flags, err := file.DynValue(elf.DT_FLAGS_1); err == nil && len(flags) > 0 && flags[0]&uint64(elf.DF_1_NOW) != 0 {
		return true
	}
	_, err := file.DynValue(elf.DT_BIND_NOW)
	return err == nil && hasTag(file, elf.DT_BIND_NOW)
}

func hasTag(file *elf.File, tag elf.DynTag) bool {
	values, err := file.DynValue(tag)
	return err == nil && len(values) > 0
}

func memory(r *report) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		r.fact("meminfo %v", err)
		return
	}
	values := map[string]int{}
	for _, line := range strings.Split(string(text), "\n") {
		var name string
		var kib int
		if n, _ := fmt.Sscanf(line, "%s %d", &name, &kib); n == 2 {
			values[name] = kib
		}
	}
	r.fact("memory total %d KiB available %d KiB", values["MemTotal:"], values["MemAvailable:"])
}
