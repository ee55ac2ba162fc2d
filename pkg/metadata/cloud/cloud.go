// Package cloud asks the services of clouds that tell a machine what it is.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"lkt/metadata/found"
	"lkt/metadata/linklocal"
)

// errOther: whoever answers is not this provider.
var errOther = errors.New("is another service")

// provider is how one is known, and what it is asked.
type provider struct {
	// label is written to the file "provider".
	label   string
	address string
	host    string
	header  http.Header
	read    func(ctx context.Context, s *session) error
}

// session is with one provider.
type session struct {
	client *linklocal.Client
	*found.Metadata
}

// Clouds asks, and remembers the addresses at which nobody is.
type Clouds struct {
	silent map[string]bool
}

// New has asked nobody.
func New() *Clouds { return &Clouds{silent: map[string]bool{}} }

// Known says whether there is such a provider.
func Known(name string) bool {
	_, known := providers[name]
	return known
}

// Read is what a provider tells. It fails when this machine is not one of the provider's.
func (c *Clouds) Read(ctx context.Context, name string) (*found.Metadata, error) {
	p := providers[name]
	if c.silent[p.address] {
		return nil, fmt.Errorf("%s: %w", p.address, linklocal.ErrUnreachable)
	}
	client := linklocal.New(p.address)
	client.Host = p.host
	for key, values := range p.header {
		client.Header[key] = values
	}
	s := &session{client: client, Metadata: found.New(p.label)}
	if err := p.read(ctx, s); err != nil {
		c.silent[p.address] = errors.Is(err, linklocal.ErrUnreachable)
		return nil, err
	}
	return s.Metadata, nil
}

// get is the body of what is at a path.
func (s *session) get(ctx context.Context, path string) ([]byte, error) {
	body, _, err := s.client.Get(ctx, path)
	return body, err
}

// values asks for files of one line. What the provider does not have is left out.
func (s *session) values(ctx context.Context, base string, paths map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		text, err := s.get(ctx, base+paths[name])
		if err != nil {
			s.left(name, err)
			continue
		}
		s.Set(name, string(text))
	}
}

// userData asks for what the owner of the machine has given it.
func (s *session) userData(ctx context.Context, path string) {
	data, err := s.get(ctx, path)
	if err != nil {
		s.left("userdata", err)
		return
	}
	s.UserData = data
}

// keys asks for lines of authorized_keys.
func (s *session) keys(ctx context.Context, path string) {
	text, err := s.get(ctx, path)
	if err != nil {
		s.left("ssh keys", err)
		return
	}
	s.AddKeys(string(text))
}

// left: not every machine has everything, so what is not found is no problem.
func (s *session) left(name string, err error) {
	var status *linklocal.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return
	}
	s.Problem(fmt.Errorf("%s: %w", name, err))
}
