// Package main answers questions about Dockerfiles with BuildKit's own code: one JSON object per
// line on standard input, and one answer per line on standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

type question struct {
	Word   *string
	Env    []string
	Escape string
	// A word of a here-document, where quotes are text.
	IsText bool

	Ignore *string
	Paths  []string

	Dockerfile string
	Args       map[string]string
	// The config of each base image.
	Config json.RawMessage
}

type answer struct {
	Error   string   `json:"error,omitempty"`
	Word    string   `json:"word"`
	Words   []string `json:"words"`
	Ignored []string `json:"ignored"`
	Image   any      `json:"image,omitempty"`
	Runs    []run    `json:"runs"`
}

type run struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Cwd  string   `json:"cwd"`
	User string   `json:"user"`
}

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		var q question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(answerTo(q)); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// answerTo returns an error also where BuildKit panics.
func answerTo(q question) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answer{Error: fmt.Sprint("panic: ", r)}
		}
	}()
	var err error
	switch {
	case q.Word != nil:
		a, err = expand(q)
	case q.Ignore != nil:
		a, err = ignore(q)
	default:
		a, err = evaluate(q)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}

func expand(q question) (a answer, err error) {
	lex := shell.NewLex([]rune(q.Escape)[0])
	lex.SkipProcessQuotes = q.IsText
	if a.Word, err = lex.ProcessWord(*q.Word, q.Env); err != nil {
		return a, err
	}
	a.Words, err = lex.ProcessWords(*q.Word, q.Env)
	return a, err
}

func ignore(q question) (a answer, err error) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(*q.Ignore))
	if err != nil {
		return a, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return a, err
	}
	for _, path := range q.Paths {
		matches, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			return a, err
		}
		if matches {
			a.Ignored = append(a.Ignored, path)
		}
	}
	return a, nil
}

type resolver struct{ config []byte }

func (r resolver) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, digest.FromString(ref), r.config, nil
}

func evaluate(q question) (a answer, err error) {
	platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	caps := pb.Caps.CapSet(pb.Caps.All())
	state, image, _, _, err := dockerfile2llb.Dockerfile2LLB(context.Background(), []byte(q.Dockerfile), dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      q.Args,
			BuildPlatforms: []ocispecs.Platform{platform},
		},
		TargetPlatform: &platform,
		MetaResolver:   resolver{q.Config},
		LLBCaps:        &caps,
	})
	if err != nil {
		return a, err
	}
	definition, err := state.Marshal(context.Background(), llb.Platform(platform), llb.WithCaps(caps))
	if err != nil {
		return a, err
	}
	a.Image = image
	for _, bytes := range definition.Def {
		var op pb.Op
		if err := op.Unmarshal(bytes); err != nil {
			return a, err
		}
		if exec := op.GetExec(); exec != nil {
			meta := exec.Meta
			a.Runs = append(a.Runs, run{meta.Args, meta.Env, meta.Cwd, meta.User})
		}
	}
	return a, nil
}
