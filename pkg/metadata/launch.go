package main

import (
	"errors"
	"os"
	"runtime"
	"slices"

	"lkt/metadata/cloud"
	"lkt/metadata/disk"
	"lkt/metadata/instance"
	"lkt/metadata/message"
	"lkt/sandbox"
)

const maxSources = 32

// setup is what a process needs to know.
type setup struct {
	Dir, Devices string
	Verbose      bool
	Sources      []source
	// Readers are the writer's connections, by kind.
	Readers map[kind]sandbox.Conn
	// Disks and Files are the open files of the reader, whose descriptors follow its connection.
	Disks, Files []opened
}

// opened is a file of a reader, or the reason why it is not open.
type opened struct {
	Name, Problem string
	FD            int
}

// readerEnd is a reader's connection to the writer.
const readerEnd sandbox.Conn = 3

// launch opens disks and files, starts the readers that the sources need, and becomes the writer.
func launch(roles sandbox.Roles, s setup) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	files, err := openFiles(s.Sources, s.Devices)
	if err != nil {
		return err
	}
	// Start closes the descriptors. The garbage collector must not close later ones with the same
	// numbers.
	defer runtime.KeepAlive(files)
	s.Readers = map[kind]sandbox.Conn{}
	var kept []int
	for _, k := range []kind{kindDisks, kindVMware, kindCloud} {
		if !slices.ContainsFunc(s.Sources, func(from source) bool { return from.Kind == k }) {
			continue
		}
		ours, theirs, err := sandbox.NewPair()
		if err != nil {
			return err
		}
		s.Readers[k] = ours
		kept = append(kept, int(ours))
		role, theirSetup, passed := roles[string(k)], s, []int{int(theirs)}
		switch {
		case k == kindDisks:
			theirSetup, passed = s.withFiles(files, passed)
		case k == kindCloud && slices.ContainsFunc(s.Sources, func(from source) bool { return from.Name == "scaleway" }):
			role.Bind = lowPorts()
		default:
			role.Capabilities = nil
		}
		if err := role.Start(theirSetup, passed...); err != nil {
			return err
		}
	}
	writer := roles["writer"]
	writer.Write = []string{s.Dir}
	return writer.Exec(s, kept...)
}

// lowPorts are the source ports from which Scaleway serves user data.
func lowPorts() []uint16 {
	var ports []uint16
	for port := uint16(1); port < 1024; port++ {
		ports = append(ports, port)
	}
	return ports
}

// withFiles adds the files of the reader to what it is started with.
func (s setup) withFiles(files reader, passed []int) (setup, []int) {
	add := func(device disk.Device) opened {
		if device.File == nil {
			return opened{Name: device.Name, Problem: device.Problem}
		}
		passed = append(passed, int(device.File.Fd()))
		return opened{Name: device.Name, FD: int(readerEnd) + len(passed) - 1}
	}
	for _, device := range files.disks {
		s.Disks = append(s.Disks, add(device))
	}
	for _, file := range files.files {
		s.Files = append(s.Files, add(file))
	}
	return s, passed
}

// reader returns the reader of this process.
func (s setup) reader() reader {
	device := func(o opened) disk.Device {
		if o.FD == 0 {
			return disk.Device{Name: o.Name, Problem: o.Problem}
		}
		return disk.Device{Name: o.Name, File: os.NewFile(uintptr(o.FD), o.Name)}
	}
	r := reader{files: map[string]disk.Device{}, clouds: cloud.New()}
	for _, o := range s.Disks {
		r.disks = append(r.disks, device(o))
	}
	for _, o := range s.Files {
		r.files[o.Name] = device(o)
	}
	return r
}

// ask requests a source from its reader.
func (s setup) ask(index int) (*instance.Metadata, error) {
	c, found := s.Readers[s.Sources[index].Kind]
	if !found {
		return nil, errors.New("no reader")
	}
	if err := c.Send([]byte{byte(index)}); err != nil {
		return nil, err
	}
	return message.Receive(c)
}
