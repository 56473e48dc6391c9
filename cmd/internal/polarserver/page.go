package polarserver

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// The pages are plain: they work without scripts, of which they have none.
//
//go:embed page
var pageFiles embed.FS

// newest is how many versions of each product the first page shows.
const newest = 10

func parsePages() *template.Template {
	return template.Must(template.New("").Funcs(pageFuncs()).ParseFS(pageFiles, "page/*.html"))
}

// page serves a page for those who may see it. What goes wrong is told as a page.
func (s *server) page(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-store")
		err := s.maySee(r)
		if err == nil {
			err = h(w, r)
		}
		var missing *polarstore.NotFoundError
		switch {
		case errors.Is(err, polarstore.ErrWrongPassword), errors.Is(err, polarstore.ErrNoSession):
			head.Set("WWW-Authenticate", `Basic realm="Polar", charset="UTF-8"`)
			return s.render(w, http.StatusUnauthorized, "message", message{"Password needed", "Log in with any user name and Polar's password."})
		case errors.Is(err, errNotFound), errors.Is(err, errBadRequest), errors.As(err, &missing):
			return s.render(w, http.StatusNotFound, "message", message{"Not found", "There is no such page."})
		}
		return err
	}
}

// A message is a page that says one thing.
type message struct{ Title, Text string }

// render answers with a page, which is whole or not there.
func (s *server) render(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	if err := s.pages.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // a client that went away is not an error
	return nil
}

func (s *server) getOverview(w http.ResponseWriter, r *http.Request) error {
	products, err := s.products(r.Context(), "", newest)
	if err != nil {
		return err
	}
	return s.render(w, http.StatusOK, "overview", products)
}

func (s *server) getAllVersions(w http.ResponseWriter, r *http.Request) error {
	products, err := s.products(r.Context(), r.PathValue("key"), 0)
	if err != nil {
		return err
	}
	return s.render(w, http.StatusOK, "product", products[0])
}

// products returns the product of that key, or all, with the newest versions.
func (s *server) products(ctx context.Context, key string, newest int) ([]productView, error) {
	all, err := s.store.Checks(ctx)
	if err != nil {
		return nil, err
	}
	products, err := s.store.Overview(ctx, key, newest)
	if err != nil {
		return nil, err
	}
	return newProductViews(products, all), nil
}

func (s *server) getVersionPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	view, err := s.version(r.Context(), id)
	if err != nil {
		return err
	}
	return s.render(w, http.StatusOK, "version", view)
}

// version returns all that is known of the version.
func (s *server) version(ctx context.Context, id int64) (view versionView, err error) {
	if view.Version, err = s.store.VersionStatus(ctx, id); err != nil {
		return view, err
	}
	all, err := s.store.Checks(ctx)
	if err != nil {
		return view, err
	}
	view.productView = newSingleView(view.Version, all)
	reports, err := s.store.Reports(ctx, id)
	if err != nil {
		return view, err
	}
	for _, r := range reports {
		view.Reports = append(view.Reports, newReportView(r))
	}
	if view.History, err = s.store.History(ctx, id); err != nil {
		return view, err
	}
	view.Files, err = s.store.Items(ctx, id)
	return view, err
}

// toOverview sends whoever opens a feed's address in a browser to the page.
func (s *server) toOverview(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.store.FindSpace(r.Context(), r.PathValue("token")); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", noCache)
	http.Redirect(w, r, "/", http.StatusFound)
	return nil
}

func getStyle(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, pageFiles, "page/style.css")
	return nil
}

func getRobots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "public")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return nil
}
