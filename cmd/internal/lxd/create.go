package lxd

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared"
	"github.com/canonical/lxd/shared/api"
)

const (
	// postGrace is how long the answer to a create is still waited for when the
	// create is given up: with the answer it can be undone.
	postGrace = 10 * time.Second
	// undoTimeout bounds what is done about a create that was given up. What it
	// does not reach is found later by its labels.
	undoTimeout = 2 * time.Minute
	undoTries   = 10
	undoPause   = 500 * time.Millisecond
)

// A Request says what to create.
type Request struct {
	Name     string
	Type     string // container, virtual-machine
	Source   Source
	Profiles []string          // empty: default
	Config   map[string]string // labels are keys under user.
	Devices  map[string]map[string]string
	Target   string // a cluster's member, or empty
	// Fetching is called before the server has to get the image; it may be nil.
	Fetching func()
}

// A Source says where the image is.
type Source struct {
	Fingerprint string // in full
	Server      string // the image feed's URL; empty: the image is on this server
	Certificate string // PEM, of the feed's server or its CA, or empty
}

// A Progress is how far the server is with something slow.
type Progress struct {
	Stage   string // download, unpack or upload
	Percent int    // 0 where it is unknown
	Text    string
}

// Create creates an instance and does not start it. An image that the server
// has already is taken from there. When it returns an error, also because ctx
// ended, it leaves no instance behind: that may take it up to two minutes.
func (s *Server) Create(ctx context.Context, r Request, progress func(Progress)) (*Instance, error) {
	source := api.InstanceSource{Type: api.SourceTypeImage, Fingerprint: r.Source.Fingerprint}
	// The server has most images, and to ask whether it does would cost a round trip.
	err := s.create(ctx, r, source, progress)
	fetched := false
	if err != nil && Refused(err) {
		has, askErr := s.HasImage(ctx, r.Source.Fingerprint)
		switch missing := askErr == nil && !has; {
		case missing && r.Source.Server != "":
			fetched = true
			if r.Fetching != nil {
				r.Fetching()
			}
			err = s.createFrom(ctx, r, source, progress)
		case missing:
			err = &NotFoundError{What: "image", Name: r.Source.Fingerprint}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", r.Name, hideToken(err, r.Source.Server))
	}
	// What was made is not looked at, which would cost a round trip as well.
	return &Instance{server: s, name: r.Name, typ: cmp.Or(r.Type, string(api.InstanceTypeContainer)), image: r.Source.Fingerprint, fetched: fetched}, nil
}

// Privileged tells whether a container that is created so is root on the server.
func (s *Server) Privileged(ctx context.Context, r Request) (bool, error) {
	const key = "security.privileged"
	if value, ok := r.Config[key]; ok {
		return shared.IsTrue(value), nil
	}
	value := ""
	for _, name := range r.profiles() { // a later one has the say
		err := s.call(ctx, func(c client.InstanceServer) error {
			profile, _, err := c.GetProfile(name)
			if err == nil && profile.Config[key] != "" {
				value = profile.Config[key]
			}
			return err
		})
		if err != nil {
			return false, fmt.Errorf("profile %s: %w", name, err)
		}
	}
	return shared.IsTrue(value), nil
}

func (r Request) profiles() []string {
	if len(r.Profiles) == 0 {
		return []string{api.ProjectDefaultName}
	}
	return r.Profiles
}

// createFrom is a create for which the server fetches the image from its feed.
func (s *Server) createFrom(ctx context.Context, r Request, source api.InstanceSource, progress func(Progress)) error {
	source.Mode = "pull"
	source.Protocol = "simplestreams"
	source.Certificate = r.Source.Certificate
	source.Server = feedURL(r.Source.Server, r.Source.Fingerprint)
	err := s.create(ctx, r, source, progress)
	if err != nil && isNoImage(err) {
		// Somebody else may have asked for this fingerprint before it was
		// published; a cache key that nobody has used gets a new answer.
		source.Server += "-" + rand.Text()
		err = s.create(ctx, r, source, progress)
	}
	if err != nil && isNoImage(err) {
		return &NotFoundError{What: "image", Name: r.Source.Fingerprint}
	}
	return err
}

// feedURL adds a fragment to the feed's URL. LXD keeps what a feed says for an
// hour by the URL, and would not see a version that is newer; the fragment
// makes it another URL, and is not sent to the feed.
func feedURL(server, fingerprint string) string {
	server, _, _ = strings.Cut(server, "#")
	return server + "#" + fingerprint
}

// isNoImage tells whether the image's server does not have it, or LXD thinks so.
func isNoImage(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "image") &&
		(strings.Contains(text, "couldn't be found") || strings.Contains(text, "could not be found") || strings.Contains(text, "image not found"))
}

func (s *Server) create(ctx context.Context, r Request, source api.InstanceSource, progress func(Progress)) error {
	post := api.InstancesPost{
		Name:   r.Name,
		Type:   api.InstanceType(r.Type),
		Source: source,
		InstancePut: api.InstancePut{
			Profiles: r.profiles(),
			Config:   maps.Clone(r.Config),
			Devices:  r.Devices,
		},
	}
	posting, cancel := grace(ctx, postGrace)
	defer cancel()
	op, err := s.start(posting, func(c client.InstanceServer) (client.Operation, error) {
		if r.Target != "" {
			c = c.UseTarget(r.Target)
		}
		return c.CreateInstance(post)
	})
	if err == nil {
		_, err = s.wait(ctx, op, reportTo(progress))
	} else if isRefusal(err) {
		return err
	}
	var failed *operationError
	if err != nil && !errors.As(err, &failed) {
		s.undo(ctx, r, op)
	}
	return err
}

// grace returns a context that ends a while after its parent.
func grace(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		if sleep(ctx, d) == nil {
			cancel()
		}
	})
	return ctx, func() { stop(); cancel() }
}

// undo makes sure that a create that was given up leaves no instance: the
// operation is cancelled where that is possible, else its end is waited for.
// Then, or where the operation is not known, an instance that carries our
// labels is deleted.
func (s *Server) undo(ctx context.Context, r Request, op api.Operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if op.ID != "" {
		// An answer that says no is as good: the operation is waited for.
		_ = s.call(ctx, func(c client.InstanceServer) error { return c.DeleteOperation(op.ID) })
		_, _ = s.wait(ctx, op, nil)
	}
	for try := 0; ; try++ {
		made, err := s.instance(ctx, s.project, r.Name)
		if err == nil {
			if isOurs(made, r) {
				_ = s.DeleteInstance(ctx, s.project, r.Name)
			}
			return
		}
		// A request whose answer was lost may still be on its way.
		if isNotFound(err) && (op.ID != "" || try > undoTries) || sleep(ctx, undoPause) != nil {
			return
		}
	}
}

// isOurs tells whether the instance carries the labels of the request.
func isOurs(made *api.Instance, r Request) bool {
	for key, value := range r.Config {
		if strings.HasPrefix(key, "user.") && made.Config[key] != value {
			return false
		}
	}
	return true
}

// reportTo returns a function that turns an operation's metadata into progress.
func reportTo(progress func(Progress)) func(api.Operation) {
	if progress == nil {
		return nil
	}
	var last Progress
	return func(op api.Operation) {
		if p, ok := progressOf(op); ok && p != last {
			last = p
			progress(p)
		}
	}
}

// percent finds 31 in "rootfs: 31% (34.60MB/s)".
var percent = regexp.MustCompile(`(\d{1,3})%`)

func progressOf(op api.Operation) (Progress, bool) {
	for _, known := range []struct{ key, stage string }{
		{"create_instance_from_image_unpack_progress", "unpack"},
		{"download_progress", "download"},
		{"container_progress", "unpack"},
	} {
		text, ok := op.Metadata[known.key].(string)
		if !ok || text == "" {
			continue
		}
		p := Progress{Stage: known.stage, Text: text}
		if m := percent.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			p.Percent = min(n, 100)
		}
		return p, true
	}
	return Progress{}, false
}

// hideToken removes the feed's space token, and a password, from an error: LXD
// repeats the URL in its own. The error loses its type only where it had one.
func hideToken(err error, server string) error {
	text := err.Error()
	for _, secret := range secrets(server) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func secrets(server string) []string {
	u, err := url.Parse(server)
	if err != nil {
		return nil
	}
	var found []string
	if password, ok := u.User.Password(); ok && password != "" {
		found = append(found, password)
	}
	parts := strings.Split(u.Path, "/")
	for i, part := range parts[1:] {
		if parts[i] == "spaces" && part != "" {
			found = append(found, part)
		}
	}
	return found
}
