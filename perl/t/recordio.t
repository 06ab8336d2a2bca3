use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);

my $dir = tempdir(CLEANUP => 1);
my $magic = pack 'V', 0xced7230a;

# Any bytes come back.
my @records = (
    '', 'a', $magic,
    "abcd$magic",
    "abc$magic",
    "$magic$magic",
    "xyzw${magic}x",
    map {
        join '',
            map { chr int rand 256 }
            1 .. $_
    } 1 .. 40
);
push @records, join '', map { rand() < 0.3 ? $magic : 'abcd' } 1 .. 500;
my $writer = mx->recordio->MXRecordIO("$dir/a.rec", 'w');
$writer->write($_) for @records;
undef $writer;
my $reader = mx->recordio->MXRecordIO("$dir/a.rec", 'r');
my @read;
while (defined(my $record = $reader->read)) { push @read, $record }
is_deeply(\@read, \@records, 'records with the magic number anywhere, and empty ones');
is((-s "$dir/a.rec") % 4, 0, 'the file is a multiple of four bytes long');

# A file that is damaged
my $bytes = do { open my $in, '<:raw', "$dir/a.rec" or die $!; local $/ = undef; <$in> };

sub damaged
{
    my $text = shift;
    open my $out, '>:raw', "$dir/b.rec" or die $!;
    print {$out} $text;
    close $out;
    return mx->recordio->MXRecordIO("$dir/b.rec", 'r');
}
dies_with(sub { my $r = damaged(substr $bytes, 0, 22); $r->read for 1 .. 3 }, qr/cut short/, 'cut short');
dies_with(sub { damaged('what is this file?')->read }, qr/no file of records/, 'no file of records');
dies_with(sub { damaged(pack('VV', 0xced7230a, 3 << 29))->read }, qr/out of place/, 'a last part without a first');
dies_with(sub { mx->recordio->MXRecordIO("$dir/none/x", 'r') }, qr/cannot open/, 'no such file');
dies_with(sub { $reader->close; $reader->read }, qr/is closed/, 'a closed file');
dies_with(sub { mx->recordio->MXRecordIO("$dir/c.rec", 'w')->write("\x{100}") }, qr/must be bytes/, 'characters');

# By key
my $indexed = mx->recordio->MXIndexedRecordIO("$dir/i.idx", "$dir/i.rec", 'w');
$indexed->write_idx($_, "record $_") for 3, 1, 2;
$indexed->close;
$indexed = mx->recordio->MXIndexedRecordIO("$dir/i.idx", "$dir/i.rec", 'r');
is($indexed->read_idx(2), 'record 2', 'the last');
is($indexed->read_idx(3), 'record 3', 'the first');
is($indexed->read, 'record 1', 'the next');
dies_with(sub { $indexed->seek(9) }, qr/no key 9/, 'a key that there is not');

# A child process that ends does not disturb what the parent writes.
$writer = mx->recordio->MXRecordIO("$dir/f.rec", 'w');
$writer->write('one');
if (my $pid = fork) { waitpid $pid, 0 }
else { undef $writer; require POSIX; POSIX::_exit(0) }
$writer->write('two');
$writer->close;
$reader = mx->recordio->MXRecordIO("$dir/f.rec", 'r');
is_deeply([map { scalar $reader->read } 1 .. 3], ['one', 'two', undef], 'after a fork');

# Headers
my $header = AI::MXNet::IRHeader->new(0, [1, 2], 3, 4);
my ($back, $rest) = mx->recordio->unpack(mx->recordio->pack($header, 'rest'));
is_deeply([$back->flag, $back->label->list, $back->id, $back->id2, $rest], [2, 1, 2, 3, 4, 'rest'], 'several labels');
is($header->flag, 2, 'pack fills the header');
($back) = mx->recordio->unpack(mx->recordio->pack([0, PDL->pdl(7), (1 << 40) + 1, 0], ''));
is($back->label, 7, 'a PDL of no dimension is a number');
is($back->id, (1 << 40) + 1, 'a large number');
dies_with(sub { mx->recordio->unpack('short') }, qr/want a header of 24/, 'too short for a header');
dies_with(sub { mx->recordio->unpack(pack 'VfQQ', 5, 0, 0, 0) }, qr/cannot hold 5 labels/, 'too short for its labels');

done_testing;
