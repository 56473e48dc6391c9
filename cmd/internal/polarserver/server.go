// Package polarserver is an image server with Polar's HTTP API: products and
// versions of images, channels, the checks that versions must pass, the feed that
// LXD and Incus read, and a bucket to upload files to. It keeps all of it in a data
// folder (see polarstore.Store).
//
// It answers as Polar does, but for where Polar answers 500 to what is a
// client's mistake or a refused change: here that is a 4xx with the reason, and
// for an event that the state does not allow, with the state. What it has beyond
// Polar's API is listed in extensions.
package polarserver

import (
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// Options are what New and Serve may be told.
type Options struct {
	Logger *slog.Logger     // for what went wrong on our side; none where nil
	Now    func() time.Time // time.Now where nil
	// OpenPages shows the pages without the password to browsers on this machine.
	// It is not for a server behind a proxy, whose visitors all come from here.
	OpenPages bool

	// For Serve only.
	Listen     string           // host:port; port 0 picks a free one
	TLSCert    string           // a PEM file: serve over TLS with this certificate
	TLSKey     string           // and the file of its private key
	PruneAfter time.Duration    // how long a version may be in testing; 0: for ever
	Ready      func(url string) // called once the server accepts connections; may be nil
}

type server struct {
	store *polarstore.Store
	log   *slog.Logger
	now   func() time.Time
	feeds map[feedKey]*feed
	// hashing bounds how many passwords are compared at once, since that is slow
	// on purpose and anybody may ask for it.
	hashing chan struct{}
	logins  *limiter

	pages     *template.Template
	openPages bool
	visitor   *visitor
}

func newServer(st *polarstore.Store, opts Options) *server {
	s := &server{
		store: st, log: opts.Logger, now: opts.Now,
		feeds: newFeeds(st), hashing: make(chan struct{}, 2), logins: newLimiter(),
		pages: parsePages(), openPages: opts.OpenPages, visitor: newVisitor(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// New returns a handler that serves the store.
func New(st *polarstore.Store, opts Options) http.Handler { return newServer(st, opts).routes() }

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, h handler) { mux.Handle(pattern, s.handle(h)) }
	private := func(pattern string, h handler) { mux.Handle(pattern, s.handle(s.authenticated(h))) }

	open("POST /publish/sessions", s.createSession)
	private("GET /publish/storage", s.getStorage)
	private("GET /publish/products/{key}", s.getProduct)
	private("POST /publish/products/{id}/versions", s.createVersion)
	private("GET /publish/products/{id}/versions/{serial}", s.getVersion)
	private("POST /publish/versions/{id}/events", s.fireVersion)
	private("PUT /publish/versions/{id}/reports/{type}", s.putReport)
	private("GET /publish/status", s.getStatus)
	private("GET /publish/testing/checks", s.getChecks)
	private("GET /publish/testing/clusters", s.getClusters)
	private("POST /publish/testing/versions/{id}/assessments", s.createAssessment)
	private("POST /publish/testing/assessments/{id}/events", s.fireAssessment)
	open("GET /spaces/{token}/streams/v1/index.json", s.getIndex)
	open("GET /spaces/{token}/streams/v1/images.json", s.getImages)
	open("GET /spaces/{token}/items/{id}", s.getItem)
	open("GET /health", s.getHealth)
	open("GET /{$}", s.page(s.getOverview))
	open("GET /products/{key}", s.page(s.getAllVersions))
	open("GET /versions/{id}", s.page(s.getVersionPage))
	open("GET /spaces/{token}", s.toOverview)
	open("GET /style.css", getStyle)
	open("GET /robots.txt", getRobots)
	s.bucketRoutes(mux)
	open("/", func(http.ResponseWriter, *http.Request) error { return errNotFound })
	return mux
}

// A handler answers a request, or returns why not.
type handler func(w http.ResponseWriter, r *http.Request) error

var (
	errNotFound   = errors.New("no such route")
	errBadRequest = errors.New("bad request")
)

// handle answers what h returns an error for, and survives what it panics with.
func (s *server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			// Paths are not logged: they hold tokens of spaces.
			s.log.Error("panic", "route", r.Pattern, "panic", v, "stack", string(debug.Stack()))
			detail(w, http.StatusInternalServerError, "Internal Server Error")
		}()
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// fail answers with the status that fits the error.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var missing *polarstore.NotFoundError
	var state *polarstore.StateError
	var refused *polarstore.RefusedError
	var wrong polarstore.InvalidError
	var large *http.MaxBytesError
	var often *tooOftenError
	switch {
	case errors.Is(err, errNotFound), errors.As(err, &missing):
		detail(w, http.StatusNotFound, "Not Found")
	case errors.Is(err, errBadRequest):
		detail(w, http.StatusBadRequest, "Bad Request")
	case errors.As(err, &often):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(often.wait.Seconds()))))
		detail(w, http.StatusTooManyRequests, "Too Many Requests")
	case errors.Is(err, polarstore.ErrWrongPassword):
		detail(w, http.StatusUnauthorized, "Unauthorized")
	case errors.Is(err, polarstore.ErrNoSession):
		answer(w, http.StatusUnauthorized, map[string]string{"status": "unauthorized"})
	case errors.As(err, &large):
		detail(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.As(err, &state):
		answer(w, http.StatusConflict, map[string]any{"errors": map[string]string{"detail": state.Error()}, "state": state.State})
	case errors.As(err, &refused):
		detail(w, http.StatusConflict, refused.Reason)
	case errors.As(err, &wrong):
		fields := map[string][]string{}
		for field, msg := range wrong {
			fields[field] = []string{msg}
		}
		answer(w, http.StatusUnprocessableEntity, map[string]any{"errors": fields})
	case polarstore.IsFull(err):
		s.log.Error("no space left", "route", r.Pattern, "error", err)
		detail(w, http.StatusInsufficientStorage, diskFull)
	default:
		if r.Context().Err() == nil { // else the client is gone, and that is why
			s.log.Error("request failed", "route", r.Pattern, "error", err)
		}
		detail(w, http.StatusInternalServerError, "Internal Server Error")
	}
}

// diskFull is what clients are told where there is no space left for the store.
const diskFull = "the server's disk is full"

// detail answers with an error in Polar's form.
func detail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"errors": map[string]string{"detail": text}})
}

// answerData answers with a result in Polar's form.
func answerData(w http.ResponseWriter, status int, data any) error {
	answer(w, status, map[string]any{"data": data})
	return nil
}

// noCache is the Cache-Control of what is for one client, and now.
const noCache = "max-age=0, private, must-revalidate"

// answer writes the value as JSON. A client that went away is not an error.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", noCache)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// pathID returns the id in the request's path.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errNotFound
	}
	if err != nil {
		return 0, errBadRequest
	}
	return id, nil
}

func (s *server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, map[string]string{"status": "Polar serving images."})
	return nil
}
