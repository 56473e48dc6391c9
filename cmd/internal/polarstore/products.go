package polarstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Product is what versions are builds of. Its key is os:release:arch:variant.
type Product struct {
	ID           int64             `json:"id"`
	Key          string            `json:"key"`
	Requirements map[string]string `json:"requirements"` // such as secureboot: "false"
}

// AddProduct adds a product.
func (s *Store) AddProduct(ctx context.Context, key string, requirements map[string]string) (Product, error) {
	if err := checkKey(key); err != nil {
		return Product{}, err
	}
	if requirements == nil {
		requirements = map[string]string{}
	}
	text, err := json.Marshal(requirements)
	if err != nil {
		return Product{}, err
	}
	p := Product{Key: key, Requirements: requirements}
	err = s.update(ctx, func(tx *sql.Tx) error {
		if _, err := findProduct(ctx, tx, key); err == nil {
			return &RefusedError{"product " + key + " exists already"}
		} else if !isNotFound(err) {
			return err
		}
		return tx.QueryRowContext(ctx, "INSERT INTO products (key, requirements, created_at) VALUES (?, ?, ?) RETURNING id",
			key, string(text), millis(s.now())).Scan(&p.ID)
	})
	if err != nil {
		return Product{}, fmt.Errorf("add product: %w", err)
	}
	return p, nil
}

// Product returns the product of that key, in upper or lower case.
func (s *Store) Product(ctx context.Context, key string) (Product, error) {
	return findProduct(ctx, s.read, key)
}

// Products returns all products by key.
func (s *Store) Products(ctx context.Context) ([]Product, error) {
	all, err := list(ctx, s.read, scanProduct, "SELECT id, key, requirements FROM products ORDER BY key")
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return all, nil
}

func findProduct(ctx context.Context, q querier, key string) (Product, error) {
	p, err := scanProduct(q.QueryRowContext(ctx, "SELECT id, key, requirements FROM products WHERE key = ?", key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return p, &NotFoundError{"product", key}
	}
	if err != nil {
		return p, fmt.Errorf("find product %s: %w", key, err)
	}
	return p, nil
}

func scanProduct(scan func(...any) error) (p Product, err error) {
	var requirements string
	if err := scan(&p.ID, &p.Key, &requirements); err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(requirements), &p.Requirements)
}

// checkKey tells what is wrong with a product's key. Its parts become names of
// folders and of images in LXD.
func checkKey(key string) error {
	parts := strings.Split(key, ":")
	if len(parts) != 4 {
		return InvalidError{"key": fmt.Sprintf("%q is not os:release:arch:variant", key)}
	}
	word := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]*$`)
	for _, part := range parts {
		if !word.MatchString(part) || len(part) > 64 {
			return InvalidError{"key": fmt.Sprintf("%q has the invalid part %q", key, part)}
		}
	}
	if arch := parts[2]; arch != "amd64" && arch != "arm64" {
		return InvalidError{"key": fmt.Sprintf("%q has the architecture %s: want amd64 or arm64", key, arch)}
	}
	return nil
}
