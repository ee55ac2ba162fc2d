package luks

import (
	"crypto/pbkdf2"
	"fmt"
)

const (
	// Limits for Argon2: memory in KiB (that of cryptsetup), and the work of all keyslots in KiB
	// (64 passes over a GiB).
	maxMemory = 1 << 20
	maxWork   = 64 << 20
	maxLanes  = 16
)

// check rejects parameters that [kdf.derive] does not support, or that need too much memory or time
// at boot.
func (k kdf) check() error {
	switch k.Type {
	case "pbkdf2":
		if k.Iterations < 1 || k.Iterations > maxIterations {
			return fmt.Errorf("invalid number of iterations: %d", k.Iterations)
		}
		_, err := newHashFunc(k.Hash)
		return err
	case "argon2i", "argon2id":
		if k.Memory < 8 || k.Memory > maxMemory || k.Time < 1 || k.Time > maxWork/k.Memory || k.CPUs < 1 || k.CPUs > maxLanes {
			return fmt.Errorf("unsupported Argon2 parameters: %d KiB, %d passes, %d lanes", k.Memory, k.Time, k.CPUs)
		}
		return nil
	}
	return fmt.Errorf("unsupported key derivation %q", k.Type)
}

// derive derives the key of a keyslot from a secret.
func (k kdf) derive(secret []byte, size int) ([]byte, error) {
	switch k.Type {
	case "argon2i":
		return argon2Key(argon2i, secret, k.Salt, k.Time, k.Memory, k.CPUs, size), nil
	case "argon2id":
		return argon2Key(argon2id, secret, k.Salt, k.Time, k.Memory, k.CPUs, size), nil
	}
	newHash, err := newHashFunc(k.Hash)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(newHash, string(secret), k.Salt, k.Iterations, size)
}
