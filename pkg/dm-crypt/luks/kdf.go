package luks

import (
	"crypto/pbkdf2"
	"fmt"
)

const (
	// Of Argon2: what cryptsetup takes at most, in KiB, and how often all of a GiB may be filled.
	maxMemory = 1 << 20
	maxWork   = 64 << 20
	maxLanes  = 16
)

// check finds what [kdf.derive] could not do, or only with more memory or time than a machine has when it starts.
func (k kdf) check() error {
	switch k.Type {
	case "pbkdf2":
		if k.Iterations < 1 || k.Iterations > maxIterations {
			return fmt.Errorf("it cannot have %d iterations", k.Iterations)
		}
		_, err := hashOf(k.Hash)
		return err
	case "argon2i", "argon2id":
		if k.Memory < 8 || k.Memory > maxMemory || k.Time < 1 || k.Time > maxWork/k.Memory || k.CPUs < 1 || k.CPUs > maxLanes {
			return fmt.Errorf("it cannot fill %d KiB %d times in %d lanes", k.Memory, k.Time, k.CPUs)
		}
		return nil
	}
	return fmt.Errorf("%q is not known here", k.Type)
}

// derive makes the key of a keyslot of a secret.
func (k kdf) derive(secret []byte, size int) ([]byte, error) {
	switch k.Type {
	case "argon2i":
		return argon2Key(argon2i, secret, k.Salt, k.Time, k.Memory, k.CPUs, size), nil
	case "argon2id":
		return argon2Key(argon2id, secret, k.Salt, k.Time, k.Memory, k.CPUs, size), nil
	}
	newHash, err := hashOf(k.Hash)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(newHash, string(secret), k.Salt, k.Iterations, size)
}
