package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func newPolarVersionShowCommand(env *Env) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "show PRODUCT SERIAL",
		Short: "Show a version's files, assessments and history",
		Long: `Show a version's files, with how often each was asked for, what was found out
about it, and its history.`,
		Example: "  icepak polar version show debian:bookworm:amd64:default 20261122-01",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.show(cmd.Context(), env, func(store *polarstore.Store) (any, printer, error) {
				v, err := readVersion(cmd.Context(), store, args[0], args[1])
				return v, v, err
			})
		},
	}
	opts.flags(cmd.Flags())
	return cmd
}

// A shownVersion is all that is known of a version.
type shownVersion struct {
	polarstore.Version
	Files       []shownFile        `json:"files"`
	Assessments []shownAssessment  `json:"assessments"`
	Events      []polarstore.Event `json:"events"`
}

type shownFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Hits   int64  `json:"hits"`
	Here   bool   `json:"here"` // whether it is in the data folder
}

type shownAssessment struct {
	polarstore.Assessment
	Events []polarstore.Event `json:"events"`
}

func readVersion(ctx context.Context, store *polarstore.Store, key, serial string) (shownVersion, error) {
	v, err := findVersion(ctx, store, key, serial)
	if err != nil {
		return shownVersion{}, err
	}
	shown := shownVersion{Version: v, Files: []shownFile{}, Assessments: []shownAssessment{}}
	items, err := store.Items(ctx, v.ID)
	if err != nil {
		return shownVersion{}, err
	}
	for _, it := range items {
		here, err := store.HasFile(it)
		if err != nil {
			return shownVersion{}, err
		}
		shown.Files = append(shown.Files, shownFile{it.Name, it.Size, it.Hash, it.Hits, here})
	}
	assessments, err := store.Assessments(ctx, v.ID)
	if err != nil {
		return shownVersion{}, err
	}
	for _, a := range assessments {
		events, err := store.AssessmentEvents(ctx, a.ID)
		if err != nil {
			return shownVersion{}, err
		}
		shown.Assessments = append(shown.Assessments, shownAssessment{a, events})
	}
	shown.Events, err = store.VersionEvents(ctx, v.ID)
	return shown, err
}

func (v shownVersion) print(w io.Writer) error {
	files := table{{"FILE", "SIZE", "HITS", "SHA-256"}}
	for _, f := range v.Files {
		size := report.Size(f.Size)
		if !f.Here {
			size = "not here"
		}
		files.add(f.Name, size, f.Hits, f.SHA256)
	}
	past := happened("version", v.Events)
	found := table{{"CHECK", "TYPE", "STATE", "CLUSTER"}}
	for _, a := range v.Assessments {
		past = append(past, happened(a.Check+" "+a.InstanceType, a.Events)...)
		found.add(a.Check, a.InstanceType, a.State, a.Cluster)
	}
	slices.SortStableFunc(past, func(a, b happening) int { return a.Time.Compare(b.Time) })
	history := table{{"TIME", "OF", "EVENT", "FROM", "TO", "BY", "COMMENT"}}
	for _, h := range past {
		history.add(h.Time.Format(time.RFC3339), h.of, h.Name, h.From, h.To, h.Actor, h.Comment)
	}
	fmt.Fprintf(w, "%s %s: %s\n", v.Product, v.Serial, v.State)
	for _, t := range []table{files, found, history} {
		if len(t) == 1 {
			continue
		}
		fmt.Fprintln(w)
		if err := t.print(w); err != nil {
			return err
		}
	}
	return nil
}

// A happening is an event with what it is of: the version or an assessment.
type happening struct {
	polarstore.Event
	of string
}

func happened(of string, events []polarstore.Event) []happening {
	var all []happening
	for _, ev := range events {
		all = append(all, happening{ev, of})
	}
	return all
}
