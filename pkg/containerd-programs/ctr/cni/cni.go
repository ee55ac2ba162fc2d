// Package cni replaces github.com/containerd/go-cni, which ctr's "task kill" calls to remove
// networks. Containers here have no CNI networks, and there are no CNI plugins.
package cni

import (
	"context"
	"errors"
)

// CNI is the part of go-cni's interface that ctr uses.
type CNI interface {
	Remove(ctx context.Context, id, path string) error
}

// Opt is an option of New.
type Opt func()

// WithDefaultConf does nothing.
func WithDefaultConf() {}

// New always fails.
func New(...Opt) (CNI, error) {
	return nil, errors.New("CNI networks are not supported")
}
