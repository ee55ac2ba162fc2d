// Package backdoor exchanges messages with VMware, through an I/O port that its virtual machines
// open to all programs. All values are in registers: the host reads and writes no memory.
package backdoor

import (
	"encoding/binary"
	"errors"
	"runtime/debug"
)

// Registers are those that a call passes to the host, and those that the host returns.
type Registers struct{ AX, BX, CX, DX, SI, DI uint32 }

// Port makes a call to the host.
type Port func(*Registers) error

// ErrRefused means that the instruction faulted, or that the port is another device's.
var ErrRefused = errors.New("the host refuses the I/O port of its tools")

const (
	magic = 0x564d5868
	port  = 0x5658
	// commandVersion returns the version of the protocol.
	commandVersion = 10
	// vendor names VMware in the processor's description.
	vendor = "VMwareVMware"
	// hypervisorLeaf has the vendor, if hypervisorBit is set in CX of leaf 1.
	hypervisorLeaf = 0x40000000
	hypervisorBit  = 1 << 31
)

//go:noescape
func in(r *Registers)

//go:noescape
func cpuid(r *Registers)

// CPUID describes the processor. AX is the leaf, and CX the part of it.
func CPUID(leaf, part uint32) Registers {
	r := Registers{AX: leaf, CX: part}
	cpuid(&r)
	return r
}

// IsVMware reports whether the processor says that it is VMware's. It touches no port, which
// elsewhere would fault or belong to a device.
func IsVMware() bool {
	if CPUID(1, 0).CX&hypervisorBit == 0 {
		return false
	}
	r := CPUID(hypervisorLeaf, 0)
	name := binary.LittleEndian.AppendUint32(nil, r.BX)
	name = binary.LittleEndian.AppendUint32(name, r.CX)
	name = binary.LittleEndian.AppendUint32(name, r.DX)
	return string(name) == vendor
}

// IO is the I/O port of VMware. Only [IsVMware] tells whether it is there.
func IO(r *Registers) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = ErrRefused
		}
	}()
	in(r)
	return nil
}

// Probe returns an error unless the host answers calls.
func Probe(call Port) error {
	r := Registers{AX: magic, BX: ^uint32(magic), CX: commandVersion, DX: port}
	if err := call(&r); err != nil {
		return err
	}
	if r.BX != magic {
		return ErrRefused
	}
	return nil
}
