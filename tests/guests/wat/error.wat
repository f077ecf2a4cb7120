;; error: answers with the error code internal-error instead of a response.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "host" "response-outparam.set" (func $response-outparam.set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (func (export "handle") (param $request i32) (param $out i32)
      ;; result case 1 is the error, error-code case 38 is internal-error, its payload is none.
      (call $response-outparam.set (local.get $out) (i32.const 1) (i32.const 38)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  ;; include start.wat
  ;; include export.wat
)
