package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
)

const keyType = "ssh-ed25519"

// loadOrCreate returns the public host key of the file at path. It creates the key if the file does
// not exist.
func loadOrCreate(path string) (ed25519.PublicKey, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, err
	}
	return decode(data)
}

func create(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// Renamed into place, so that an existing key is always complete.
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Write(encode(public, private)); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	return public, os.Rename(temporary, path)
}

// encode encodes a key in dropbear's format: the type, then seed and public key as one string (RFC
// 4251 strings).
func encode(public ed25519.PublicKey, private ed25519.PrivateKey) []byte {
	return appendString(appendString(nil, []byte(keyType)), append(private.Seed(), public...))
}

func decode(data []byte) (ed25519.PublicKey, error) {
	kind, rest, ok := cutString(data)
	if !ok || string(kind) != keyType {
		return nil, errors.New("not a dropbear ed25519 key")
	}
	pair, _, ok := cutString(rest)
	if !ok || len(pair) != ed25519.SeedSize+ed25519.PublicKeySize {
		return nil, errors.New("not a dropbear ed25519 key")
	}
	return pair[ed25519.SeedSize:], nil
}

// fingerprint returns the fingerprint that ssh shows at the first connection.
func fingerprint(public ed25519.PublicKey) string {
	sum := sha256.Sum256(appendString(appendString(nil, []byte(keyType)), public))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func appendString(b, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size := binary.BigEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+size], b[4+size:], true
}
