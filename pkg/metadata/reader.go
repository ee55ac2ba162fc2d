package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"lkt/metadata/cloud"
	"lkt/metadata/disk"
	"lkt/metadata/guestinfo"
	"lkt/metadata/instance"
	"lkt/metadata/message"
	"lkt/sandbox"
)

// reader reads sources. Its files are open, because it cannot open any.
type reader struct {
	disks []disk.Device
	// files are the named files, by path. Those that cannot be opened have a problem.
	files  map[string]disk.Device
	clouds *cloud.Clouds
}

// openFiles opens what the sources of a kind need, all for reading only.
func openFiles(sources []source, devices string) (reader, error) {
	r := reader{files: map[string]disk.Device{}}
	for _, s := range sources {
		path, isFile := s.path()
		switch {
		case isFile:
			file, err := os.Open(path)
			r.files[path] = disk.Device{Name: path, File: file}
			if err != nil {
				r.files[path] = disk.Device{Name: path, Problem: err.Error()}
			}
		case s.Kind == kindDisks && r.disks == nil:
			var err error
			if r.disks, err = disk.Open(devices); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func (r reader) read(ctx context.Context, s source) (*instance.Metadata, error) {
	path, isFile := s.path()
	switch {
	case isFile:
		return readFile(r.files[path])
	case s.Name == "cdrom":
		return disk.Read(r.disks)
	case s.Name == "configdrive":
		return disk.ReadConfigDrive(r.disks)
	case s.Kind == kindVMware:
		return guestinfo.Read()
	}
	return r.clouds.Read(ctx, s.Name)
}

func readFile(from disk.Device) (*instance.Metadata, error) {
	if from.File == nil {
		return nil, errors.New(from.Problem)
	}
	data, err := io.ReadAll(io.LimitReader(from.File, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", from.Name, maxFile)
	}
	m := instance.New(from.Name)
	m.UserData = data
	return m, nil
}

// serve reads a source for each request of the writer, whose only byte is its number.
func (r reader) serve(ctx context.Context, writer sandbox.Conn, sources []source) error {
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		request, err := writer.Receive(buffer)
		if errors.Is(err, sandbox.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(request) != 1 || int(request[0]) >= len(sources) {
			return errors.New("unknown request")
		}
		m, err := r.read(ctx, sources[request[0]])
		if err := message.Send(writer, m, err); err != nil {
			return err
		}
	}
}
