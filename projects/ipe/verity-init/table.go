package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lkt/storage/mapper"
)

// created matches the parameter of the kernel that creates a device with one target:
// dm-mod.create="NAME,UUID,MINOR,FLAGS,START SECTORS TARGET ARGUMENTS".
var created = regexp.MustCompile(`(?:^|\s)dm-mod\.create="[^",]*,[^",]*,[^",]*,ro,0 ([0-9]+) verity ([^",;]+)"`)

// The arguments of dm-verity up to the salt, and the index of the device.
const (
	fixedArguments = 10
	deviceArgument = 1
)

// signedTarget returns the target of dm-verity that a kernel command line describes, with the
// signature of its root hash in the key keyName, and the path of the disk.
func signedTarget(cmdline, keyName string) (device string, target mapper.Target, err error) {
	found := created.FindStringSubmatch(cmdline)
	if found == nil {
		return "", target, errors.New("it creates no verity device")
	}
	sectors, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		return "", target, err
	}
	arguments := strings.Fields(found[2])
	if len(arguments) < fixedArguments {
		return "", target, fmt.Errorf("verity has %d arguments of %d", len(arguments), fixedArguments)
	}
	options := arguments[fixedArguments:]
	if len(options) > 0 {
		if count, err := strconv.Atoi(options[0]); err != nil || count != len(options)-1 {
			return "", target, fmt.Errorf("%q is not the number of %d options", options[0], len(options)-1)
		}
		options = options[1:]
	}
	words := append(arguments[:fixedArguments:fixedArguments], strconv.Itoa(len(options)+2))
	words = append(append(words, options...), "root_hash_sig_key_desc", keyName)
	return arguments[deviceArgument], mapper.Target{
		Kind: "verity", Sectors: sectors, Parameters: strings.Join(words, " "), ReadOnly: true,
	}, nil
}
