// Package cloud reads the metadata services of cloud providers.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"lkt/metadata/instance"
	"lkt/metadata/linklocal"
)

// errOther means that another provider's service answers.
var errOther = errors.New("another service answers")

// provider describes how to identify and read the service of a provider.
type provider struct {
	// label is the content of the file "provider".
	label   string
	address string
	host    string
	header  http.Header
	read    func(ctx context.Context, s *session) error
}

// service is the metadata service of a provider.
type service interface {
	Get(ctx context.Context, path string) ([]byte, http.Header, error)
	Put(ctx context.Context, path, key, value string) ([]byte, error)
}

// session collects the metadata of one provider.
type session struct {
	client service
	// low is the client with a source port below 1024. header is sent with every request.
	low    service
	header http.Header
	*instance.Metadata
}

// Clouds reads providers, and remembers unreachable addresses.
type Clouds struct {
	silent map[string]bool
}

// New returns a Clouds without known addresses.
func New() *Clouds { return &Clouds{silent: map[string]bool{}} }

// Known reports whether there is a provider with the name.
func Known(name string) bool {
	_, known := providers[name]
	return known
}

// Read returns the metadata of a provider. It fails if this machine does not run at the provider.
func (c *Clouds) Read(ctx context.Context, name string) (*instance.Metadata, error) {
	p := providers[name]
	if c.silent[p.address] {
		return nil, fmt.Errorf("%s: %w", p.address, linklocal.ErrUnreachable)
	}
	client := linklocal.New(p.address)
	client.Host = p.host
	for key, values := range p.header {
		client.Header[key] = values
	}
	s := &session{client: client, low: client.FromLowPort(), header: client.Header, Metadata: instance.New(p.label)}
	if err := p.read(ctx, s); err != nil {
		c.silent[p.address] = errors.Is(err, linklocal.ErrUnreachable)
		return nil, err
	}
	return s.Metadata, nil
}

// get returns the body of the response for a path.
func (s *session) get(ctx context.Context, path string) ([]byte, error) {
	body, _, err := s.client.Get(ctx, path)
	return body, err
}

// values reads single-line values. It skips those that the provider does not have.
func (s *session) values(ctx context.Context, base string, paths map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		text, err := s.get(ctx, base+paths[name])
		if err != nil {
			s.skip(name, err)
			continue
		}
		s.Set(name, string(text))
	}
}

// userData reads the user data, which the owner of the machine has provided.
func (s *session) userData(ctx context.Context, path string) {
	data, err := s.get(ctx, path)
	if err != nil {
		s.skip("userdata", err)
		return
	}
	s.UserData = data
}

// keys reads lines of authorized_keys.
func (s *session) keys(ctx context.Context, path string) {
	text, err := s.get(ctx, path)
	if err != nil {
		s.skip("ssh keys", err)
		return
	}
	s.AddKeys(string(text))
}

// skip records an error for a value, unless the value does not exist, which is normal.
func (s *session) skip(name string, err error) {
	var status *linklocal.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return
	}
	s.Problem(fmt.Errorf("%s: %w", name, err))
}
