import { Millrace } from 'millrace/client'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Live } from './live.tsx'

const { VITE_MILLRACE_URL = 'http://127.0.0.1:8000', VITE_MILLRACE_TOKEN = 'a-long-secret' } = import.meta.env
const millrace = new Millrace(VITE_MILLRACE_URL, { token: VITE_MILLRACE_TOKEN })

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Live millrace={millrace} name="demo" />
  </StrictMode>,
)
