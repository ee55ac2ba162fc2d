package main

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// uncounted are attempts to take memory that the kernel counts for no container.
var uncounted = []attempt{
	{"uncounted-messages", func() error {
		const betweenPrograms = 2 // NETLINK_USERSOCK
		return anySocket(unix.AF_NETLINK, unix.SOCK_RAW, betweenPrograms)
	}},
	{"uncounted-acl", func() error {
		const path = "/tmp/acl"
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		defer os.Remove(path)
		return unix.Setxattr(path, "system.posix_acl_access", accessList(8000), 0)
	}},
}

// anySocket opens a socket. The kernel takes its numbers from the lower half of the registers, and
// a filter from the whole ones.
func anySocket(family, kind, protocol int) error {
	const high = 1 << 32
	return anyOf([][3]int{
		{family, kind, protocol}, {high | family, kind, protocol}, {family, kind, high | protocol}, {high | family, kind, high | protocol},
	}, func(way [3]int) error {
		fd, _, errno := unix.Syscall(unix.SYS_SOCKET, uintptr(way[0]), uintptr(way[1]), uintptr(way[2]))
		if errno == 0 {
			unix.Close(int(fd))
		}
		return errorOf(errno)
	})
}

// accessList returns a POSIX ACL with entries for a number of users.
func accessList(users int) []byte {
	const owner, user, group, mask, other = 0x01, 0x02, 0x04, 0x10, 0x20
	list := binary.LittleEndian.AppendUint32(nil, 2)
	add := func(tag uint16, id uint32) {
		list = binary.LittleEndian.AppendUint16(list, tag)
		list = binary.LittleEndian.AppendUint16(list, 4)
		list = binary.LittleEndian.AppendUint32(list, id)
	}
	add(owner, 0xffffffff)
	for id := range uint32(users) {
		add(user, id)
	}
	for _, tag := range []uint16{group, mask, other} {
		add(tag, 0xffffffff)
	}
	return list
}
