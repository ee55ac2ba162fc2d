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

// Binds returns the config.json of a container with pinned bind sources. A source whose path goes
// through a directory that containers can write is bind-mounted below dir now, and the config
// refers to that mount. release removes these mounts; the caller calls it once the container has
// been created.
//
// The runtime follows symbolic links, so that a container could put a link to the machine's root
// where another container binds, or where it binds itself at its next start. Such a link is an
// error.
//
// A source that is read-only on the machine becomes read-only in the container, whatever the
// options say: the kernel refuses a writable bind mount of the machine's root.
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
		isMade, isWritable, err := pin(bind.Source, target)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("bind %s: %w", bind.Source, err)
		}
		if isMade {
			made = append(made, target)
			mounts[i]["source"], err = json.Marshal(target)
		}
		if !isWritable && err == nil {
			mounts[i]["options"], err = json.Marshal(readOnlyOptions(bind.Options))
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

// readOnlyOptions returns the options of a read-only bind mount.
func readOnlyOptions(options []string) []string {
	return append(slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == "rw" }), "ro")
}

// pin bind-mounts source to target if containers can replace a directory on its path, and reports
// whether source is writable.
func pin(source, target string) (made, writable bool, err error) {
	file, err := openPath(source, false)
	if err != nil || file == nil {
		return false, true, err
	}
	defer syscall.Close(file.fd)
	if !file.replaceable {
		return false, file.writable, nil
	}
	return true, file.writable, bindTo(target, file)
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
