package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-tpm/tpm2"

	"lkt/atomicfile"
)

// sealed is the content of a file with a sealed secret. Only the TPM that sealed it can read it.
type sealed struct {
	// Registers are those whose values must be as they were.
	Registers []uint `json:"pcrs"`
	Public    []byte `json:"public"`
	Private   []byte `json:"private"`
}

// maxSealed is the maximum size of a file with a sealed secret in bytes.
const maxSealed = 8 << 10

// releasedEvent is measured into the register of the image after a secret was unsealed once.
const releasedEvent = "lkt:secrets-released"

var errClosed = errors.New("the registers have other values than when the secret was sealed: another image runs, it was booted in " +
	"another way, or an earlier unseal -once closed it until the next boot")

func (t tpm) sealFile(r request) error {
	secret, err := readFile(r.Source, maxSecret)
	if err != nil {
		return err
	}
	return t.sealInto(r.Sealed, secret, r.Registers)
}

func (t tpm) sealInto(path string, secret []byte, indices []uint) error {
	content, err := t.seal(secret, indices)
	if err != nil {
		return err
	}
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

// unsealFile writes the secret to the target, and creates it before if the request says so.
func (t tpm) unsealFile(r request, out io.Writer) error {
	text, err := readFile(r.Sealed, maxSealed)
	if errors.Is(err, os.ErrNotExist) && r.Size > 0 {
		secret, err := t.random(r.Size)
		if err != nil {
			return err
		}
		if err := t.sealInto(r.Sealed, secret, r.Registers); err != nil {
			return err
		}
		fmt.Fprintf(out, "tpm: %s has a new secret of %d bytes, sealed to the registers %v\n", r.Sealed, r.Size, r.Registers)
		text, err = readFile(r.Sealed, maxSealed)
		if err != nil {
			return err
		}
		return t.release(text, r, out)
	}
	if err != nil {
		return err
	}
	return t.release(text, r, out)
}

func (t tpm) release(text []byte, r request, out io.Writer) error {
	content, err := decode(text)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Sealed, err)
	}
	secret, err := t.unseal(content)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Sealed, err)
	}
	if r.Once {
		// Before anything has the secret, so that an error leaves none.
		if err := t.close(content.Registers); err != nil {
			return err
		}
	}
	if err := atomicfile.Write(r.Target, secret, 0o400); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "tpm: %s has the secret of %s\n", r.Target, r.Sealed)
	return err
}

func decode(text []byte) (s sealed, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, errors.New("not a sealed secret")
	}
	previous := -1
	for _, index := range s.Registers {
		if index >= registerCount || int(index) <= previous {
			return s, errors.New("not a sealed secret")
		}
		previous = int(index)
	}
	if previous < 0 {
		return s, errors.New("not a sealed secret: it names no register")
	}
	return s, nil
}

// root loads the storage key of the TPM, which is the same each time.
func (t tpm) root() (*tpm2.CreatePrimaryResponse, error) {
	key, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(t)
	if err != nil {
		return nil, fmt.Errorf("storage key: %w", err)
	}
	return key, nil
}

func (t tpm) flush(handle tpm2.TPMHandle) { _, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(t) }

// encryption encrypts a secret on its way to or from the TPM, against who only listens.
func encryption(key *tpm2.CreatePrimaryResponse, decrypts bool) ([]tpm2.AuthOption, error) {
	public, err := key.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	if decrypts {
		return []tpm2.AuthOption{tpm2.AESEncryption(128, tpm2.EncryptIn), tpm2.Salted(key.ObjectHandle, *public)}, nil
	}
	return []tpm2.AuthOption{tpm2.AESEncryption(128, tpm2.EncryptOut), tpm2.Salted(key.ObjectHandle, *public)}, nil
}

func (t tpm) seal(secret []byte, indices []uint) (sealed, error) {
	if len(secret) == 0 {
		return sealed{}, errors.New("the secret is empty")
	}
	values, err := t.registers(indices)
	if err != nil {
		return sealed{}, err
	}
	for i, index := range indices {
		if index == imageRegister && values[i] == (digest{}) {
			return sealed{}, fmt.Errorf("register %d is zero: nothing measured the image, so any other could unseal the secret\n"+
				"  fix: boot it as a unified kernel image (formats uki, raw-efi), or give other registers by -pcrs", index)
		}
	}
	key, err := t.root()
	if err != nil {
		return sealed{}, err
	}
	defer t.flush(key.ObjectHandle)
	options, err := encryption(key, true)
	if err != nil {
		return sealed{}, err
	}
	created, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{
			Handle: key.ObjectHandle, Name: key.Name, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, options...),
		},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			// Without UserWithAuth the policy alone opens it, not the empty password.
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, AdminWithPolicy: true, NoDA: true},
			AuthPolicy:       tpm2.TPM2BDigest{Buffer: policy(indices, values)},
		}),
	}.Execute(t)
	if err != nil {
		return sealed{}, fmt.Errorf("seal: %w", err)
	}
	return sealed{Registers: indices, Public: created.OutPublic.Bytes(), Private: created.OutPrivate.Buffer}, nil
}

// policy returns the digest of TPM2_PolicyPCR (TPM 2.0 Part 3, section 23.7).
func policy(indices []uint, values []digest) []byte {
	var all []byte
	for _, value := range values {
		all = append(all, value[:]...)
	}
	measured := sha256.Sum256(all)
	text := make([]byte, sha256.Size)
	text = binary.BigEndian.AppendUint32(text, uint32(tpm2.TPMCCPolicyPCR))
	text = append(text, tpm2.Marshal(selection(indices...))...)
	text = append(text, measured[:]...)
	sum := sha256.Sum256(text)
	return sum[:]
}

func (t tpm) unseal(s sealed) ([]byte, error) {
	key, err := t.root()
	if err != nil {
		return nil, err
	}
	defer t.flush(key.ObjectHandle)
	item, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: key.ObjectHandle, Name: key.Name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: s.Private},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](s.Public),
	}.Execute(t)
	if err != nil {
		return nil, fmt.Errorf("another TPM sealed it, or this one was cleared: %w", err)
	}
	defer t.flush(item.ObjectHandle)
	options, err := encryption(key, false)
	if err != nil {
		return nil, err
	}
	session, end, err := tpm2.PolicySession(t, tpm2.TPMAlgSHA256, 16, options...)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	defer func() { _ = end() }()
	if _, err := (tpm2.PolicyPCR{PolicySession: session.Handle(), Pcrs: selection(s.Registers...)}).Execute(t); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	opened, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: item.ObjectHandle, Name: item.Name, Auth: session}}.Execute(t)
	if errors.Is(err, tpm2.TPMRCPolicyFail) {
		return nil, errClosed
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return opened.OutData.Buffer, nil
}

// close changes the register of the image, so that what is sealed to it stays so until the next
// boot.
func (t tpm) close(indices []uint) error {
	found := false
	for _, index := range indices {
		found = found || index == imageRegister
	}
	if !found {
		return fmt.Errorf("-once needs a secret that is sealed to register %d", imageRegister)
	}
	measured := sha256.Sum256([]byte(releasedEvent))
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: imageRegister, Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
			{HashAlg: tpm2.TPMAlgSHA256, Digest: measured[:]},
		}},
	}.Execute(t)
	if err != nil {
		return fmt.Errorf("extend register %d: %w", imageRegister, err)
	}
	return nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, nil
}
