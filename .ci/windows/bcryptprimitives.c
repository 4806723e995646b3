/* Rust's standard library asks bcryptprimitives.dll for random bytes (Windows 10 and later). Wine 8
 * has no such library, but the older function that does the same. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
