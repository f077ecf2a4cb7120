;; unknown-import: imports acme:thing/x, which no host provides, and would call it.
(component
  ;; include imports.wat
  ;; include lib.wat
  (import "acme:thing/x" (instance $x
    (export "y" (func (param "z" u32) (result u32)))))
  (core func $y (canon lower (func $x "y")))
  (core module $Guest
    (import "x" "y" (func $y (param i32) (result i32)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (call $start (local.get $out))
      (call $put-number (i64.extend_i32_u (call $y (i32.const 1))))
      (call $finish)))
  (core instance $guest (instantiate $Guest
    (with "lib" (instance $lib)) (with "x" (instance (export "y" (func $y))))))
  ;; include export.wat
)
