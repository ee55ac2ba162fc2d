package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Binds returns the config.json of a container with bind sources that no container can replace. If
// the path of a source goes through a directory that containers can write, Binds bind-mounts the
// source below dir, and the config refers to that mount. release removes these mounts; the caller
// calls it once the container has been created.
//
// The runtime follows symbolic links. A container could put a link to the machine's root where
// another container binds, or where it binds itself at its next start. Such a link is an error.
//
// A source that is read-only on the machine becomes read-only in the container, whatever the
// options say: the kernel refuses other bind mounts of the root. Other restrictions of its mount
// stay too, unless the options lift them; crun would lift them all.
func Binds(data []byte, dir string) (config []byte, release func(), err error) {
	var spec map[string]json.RawMessage
	var mounts []map[string]json.RawMessage
	var binds []struct {
		Source, Type string
		Options      []string
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, nil, err
	}
	if spec["mounts"] == nil {
		return data, func() {}, nil
	}
	if err := errors.Join(json.Unmarshal(spec["mounts"], &mounts), json.Unmarshal(spec["mounts"], &binds)); err != nil {
		return nil, nil, err
	}
	var made []string
	release = func() {
		for _, target := range made {
			unmountBind(target)
		}
		_ = os.Remove(dir)
	}
	for i, bind := range binds {
		isBind := bind.Type == "bind" || slices.Contains(bind.Options, "bind") || slices.Contains(bind.Options, "rbind")
		if !isBind || !filepath.IsAbs(bind.Source) || strings.HasPrefix(dir+"/", filepath.Clean(bind.Source)+"/") {
			continue
		}
		target := filepath.Join(dir, strconv.Itoa(i))
		isMade, flags, err := pin(bind.Source, target)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("bind %s: %w", bind.Source, err)
		}
		if isMade {
			made = append(made, target)
			mounts[i]["source"], err = json.Marshal(target)
		}
		if options := restrict(bind.Options, flags); len(options) > 0 && err == nil {
			mounts[i]["options"], err = json.Marshal(options)
		}
		if err != nil {
			release()
			return nil, nil, err
		}
	}
	if spec["mounts"], err = json.Marshal(mounts); err == nil {
		config, err = json.Marshal(spec)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return config, release, nil
}

// RemoveBinds removes what an earlier process has left of Binds: dir has a directory for each
// container that it was creating when it was killed. Nothing creates containers meanwhile.
func RemoveBinds(dir string) {
	targets, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return
	}
	for _, target := range targets {
		unmountBind(target)
		_ = os.Remove(target) // one that has no mount yet
		_ = os.Remove(filepath.Dir(target))
	}
}

// restrict returns the options of a bind mount of a source with the given flags of its mount. It
// keeps noexec only if the options restrict nothing themselves: a volume may have programs.
func restrict(options []string, flags int64) []string {
	options = slices.Clone(options)
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(options, word) })
	}
	if flags&stNoexec != 0 && !says("ro", "nosuid", "suid", "nodev", "dev", "noexec", "exec") {
		options = append(options, "noexec")
	}
	if flags&stNosuid != 0 && !says("nosuid", "suid") {
		options = append(options, "nosuid")
	}
	if flags&stNodev != 0 && !says("nodev", "dev") {
		options = append(options, "nodev")
	}
	if flags&stRdonly != 0 {
		options = append(slices.DeleteFunc(options, func(o string) bool { return o == "rw" || o == "ro" }), "ro")
	}
	return options
}

// pin bind-mounts source to target if containers can replace a directory on its path, and returns
// the flags of its mount.
func pin(source, target string) (made bool, flags int64, err error) {
	file, err := openPath(source, false)
	if err != nil || file == nil {
		return false, 0, err
	}
	defer syscall.Close(file.fd)
	if !file.replaceable {
		return false, file.flags, nil
	}
	return true, file.flags, bindTo(target, file)
}

func bindTo(target string, file *openFile) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	var err error
	if file.isDir {
		err = os.Mkdir(target, 0o700)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// This name refers to the open file, whatever the path refers to by now.
	name := fmt.Sprintf("/proc/self/fd/%d", file.fd)
	return os.NewSyscallError("mount", syscall.Mount(name, target, "", syscall.MS_BIND|syscall.MS_REC, ""))
}

// unmountBind unmounts target. It makes the mount private first: unmounting a shared mount would
// also unmount the mounts below its source.
func unmountBind(target string) {
	_ = syscall.Mount("", target, "", syscall.MS_PRIVATE|syscall.MS_REC, "")
	if err := syscall.Unmount(target, syscall.MNT_DETACH); err == nil {
		_ = os.Remove(target)
	}
}
