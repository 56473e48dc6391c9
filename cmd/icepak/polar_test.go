package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const polarProduct = "debian:bookworm:amd64:default"

// A polarSite is a data folder that the program works on, and a server of it.
type polarSite struct {
	t        *testing.T
	data     string
	password string
	server   *exec.Cmd
	url      string
}

func newPolar(t *testing.T) *polarSite {
	t.Helper()
	p := &polarSite{t: t, data: filepath.Join(t.TempDir(), "polar")}
	p.password = p.must("password", "--generate")
	p.must("product", "add", polarProduct)
	return p
}

func (p *polarSite) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "icepak", append([]string{"polar"}, args...)...)
	cmd.Env = append(os.Environ(), "ICEPAK_POLAR_DATA="+p.data)
	return cmd
}

// must runs icepak polar, which must succeed, and returns what it printed.
func (p *polarSite) must(args ...string) string {
	p.t.Helper()
	cmd := p.command(p.t.Context(), args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%q: %v: %s", args, err, &said)
	}
	return strings.TrimSpace(string(out))
}

// serve starts the server.
func (p *polarSite) serve() {
	p.t.Helper()
	p.server = p.command(p.t.Context(), "serve", "--listen", "127.0.0.1:0")
	out, err := p.server.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.server.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "serving Polar on "))
}

// post sends a request of the API, once, and returns the data of its answer.
func (p *polarSite) post(ctx context.Context, session, path string, in any) (data struct {
	ID    int64
	Token string
}, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return data, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(body))
	if err != nil {
		return data, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", session)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return data, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return data, err
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return data, fmt.Errorf("%s: %s: %s", path, res.Status, text)
	}
	return data, json.Unmarshal(text, &struct{ Data any }{&data})
}

// login opens a session.
func (p *polarSite) login() string {
	p.t.Helper()
	data, err := p.post(p.t.Context(), "", "/publish/sessions", map[string]any{"user": map[string]string{"password": p.password}})
	if err != nil {
		p.t.Fatal(err)
	}
	return data.Token
}

// The first interrupt lets what is being downloaded end, the second one does not.
func TestSecondInterruptStopsPolarAtOnce(t *testing.T) {
	p := newPolar(t)
	build := t.TempDir()
	for name, size := range map[string]int64{"incus.tar.xz": 1, "rootfs.squashfs": 64 << 20} { // more than the kernel takes of it
		path := filepath.Join(build, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}
	p.must("version", "import", build, "--product", polarProduct, "--serial", "20260101")
	p.serve()
	res, err := http.Get(p.must("space", "add", "--url", p.url) + "/items/3")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ended := make(chan error, 1)
	go func() { ended <- p.server.Wait() }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if err := p.server.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case <-again.C:
			continue
		case err = <-ended:
		}
		break
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("it ended with %v, and not at once", err)
	}
}
