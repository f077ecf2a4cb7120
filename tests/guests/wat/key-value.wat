;; key-value: opens the store "default" of fermyon:spin/key-value and answers 1, or 0 where the store said no.
(component
  ;; include imports.wat
  ;; include lib.wat
  (import "fermyon:spin/key-value@2.0.0" (instance $key-value
    (type $error' (variant
      (case "store-table-full") (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $error')))
    (export "store" (type $store (sub resource)))
    (export "[static]store.open" (func (param "label" string) (result (result (own $store) (error $error)))))))
  (core func $open (canon lower (func $key-value "[static]store.open") (memory $mem) (realloc $realloc)))
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "key-value" "open" (func $open (param i32 i32 i32)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 1024) "default")
    (func (export "handle") (param $request i32) (param $out i32)
      (local $is-open i32)
      (call $open (i32.const 1024) (i32.const 7) (i32.const 0))
      (local.set $is-open (i32.eqz (i32.load8_u (i32.const 0)))) ;; before $start writes there
      (call $start (local.get $out))
      (call $put-number (i64.extend_i32_u (local.get $is-open)))
      (call $finish)))
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "lib" (instance $lib))
    (with "key-value" (instance (export "open" (func $open))))))
  ;; include export.wat
)
