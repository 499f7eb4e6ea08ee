// What somebody may do in a department. The service answers it; the page never reads a token.

export type Access = 'none' | 'read' | 'write';

export function mayChange(access: Access): boolean {
  return access === 'write';
}

export function maySee(access: Access): boolean {
  return access !== 'none';
}
