use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use IO::Compress::Gzip qw(gzip);
use AI::MXNet qw(mx);

needs_operators(qw(take _parse_csv _parse_libsvm));

my $dir = tempdir(CLEANUP => 1);

sub file
{
    my ($name, $bytes) = @_;
    open my $out, '>:raw', "$dir/$name" or die $!;
    print {$out} $bytes;
    close $out;
    return "$dir/$name";
}

sub rows
{
    my $it = shift;
    return [map { [$_->data->[0]->aspdl->list] } @$it];
}

# -- NDArrayIter

my $x = nd->arange(stop => 7);
my $iter = mx->io->NDArrayIter($x, batch_size => 3);
is_deeply(rows($iter), [[0, 1, 2], [3, 4, 5], [6, 0, 1]], 'pad');
is_deeply(rows($iter), [], 'nothing is left');
$iter->reset;
$iter->next for 1, 2;
$iter->reset;
is_deeply(rows($iter)->[0], [0, 1, 2], 'a reset in the middle');
dies_with(sub { $iter->getdata }, qr/DataIter needs reset/, 'data behind the end');
srand 3;
my $first = rows(mx->io->NDArrayIter($x, batch_size => 7, shuffle => 1));
srand 3;
is_deeply(rows(mx->io->NDArrayIter($x, batch_size => 7, shuffle => 1)), $first, "shuffled by Perl's generator");
is(mx->io->NDArrayIter(nd->zeros([4, 2], dtype => 'uint8'), batch_size => 2)->provide_data->[0]->dtype,
    'uint8', 'its dtype');
dies_with(sub { mx->io->NDArrayIter($x, nd->zeros([6])) }, qr/softmax_label is 6, want 7/, 'labels of another length');
dies_with(sub { mx->io->NDArrayIter($x, batch => 2) }, qr/no such named argument 'batch'/, 'a misspelt name');
ok(!eval { mx->io->NDArrayIter($x, last_batch_handle => 'keep'); 1 }, 'a handling that there is not');

# -- over others

my $pass = sub { mx->io->NDArrayIter(nd->arange(stop => 4), nd->ones([4]), batch_size => 2) };
my $resized = mx->io->ResizeIter($pass->(), 3);
is_deeply(rows($resized), [[0, 1], [2, 3], [0, 1]], 'ResizeIter');
$resized->reset;
is_deeply(rows($resized)->[0], [0, 1], '... starts over');
my $short = mx->io->ResizeIter(data_iter => $pass->(), size => 1, reset_internal => 0);
rows($short);
$short->reset;
is_deeply(rows($short), [[2, 3]], '... or goes on');
my $both = mx->io->PrefetchingIter([$pass->(), $pass->()], rename_data => [{ data => 'a' }, { data => 'b' }]);
is(join(' ', map { $_->name } @{ $both->provide_data }), 'a b', 'PrefetchingIter: names');
is(scalar @{ $both->next->data }, 2, '... arrays of both');
$both->reset;
is(scalar @$both, 2, '... a whole pass');

# -- CSV

my $csv = file('a.csv', "1,2\n3,4\n\n5,6\r\n");
$iter = mx->io->CSVIter({ data_csv => $csv, data_shape => '(2,)', batch_size => 2 });
is_deeply(rows($iter), [[1, 2, 3, 4], [5, 6, 1, 2]], 'CSV');
$iter->reset;
is_deeply(rows($iter), [[3, 4, 5, 6]], '... goes on behind what it has used');
gzip($csv => "$csv.gz") or die;
is_deeply(
    rows(mx->io->CSVIter({ data_csv => "$csv.gz", data_shape => [2], batch_size => 3 })),
    [[1 .. 6]],
    '... compressed'
);
$iter = mx->io->CSVIter({ data_csv => $csv, data_shape => [2], batch_size => 2, round_batch => 0, dtype => 'int64' });
my @batches = @$iter;
is_array($batches[1]->data->[0], [2, 2], [5, 6, 0, 0], '... not filled up', 'int64');
is($batches[1]->pad, 1, '... says so');
$iter->reset;

for my $case (["1,2\n3\n", qr/a\.csv: line 2: got 1 numbers, want 2/],
    ["1,2\n3,x\n", qr/line 2: got 'x', want a number/],)
{
    file('a.csv', $case->[0]);
    dies_with(sub { mx->io->CSVIter({ data_csv => $csv, data_shape => [2] }) }, $case->[1], "CSV with $case->[1]");
}
dies_with(sub { mx->io->CSVIter({ data_csv => "$dir/none", data_shape => [2] }) }, qr/cannot read .*none/, 'no file');
dies_with(sub { mx->io->CSVIter({ data_csv => $csv }) }, qr/data_shape is missing/, 'no shape');
dies_with(sub { mx->io->CSVIter($csv) }, qr/CSVIter can only accept keyword arguments/, 'no hash');

# -- MNIST

my $images = file('img', pack('N4', 2051, 5, 2, 3) . pack('C*', map { $_ * 8 } 0 .. 29));
my $labels = file('lab', pack('N2', 2049, 5) . pack('C*', 5 .. 9));
my %mnist = (image => $images, label => $labels, batch_size => 2);
$iter = mx->io->MNISTIter({ %mnist, shuffle => 0 });
is_array($iter->next->data->[0], [2, 1, 2, 3], [map { $_ / 32 } 0 .. 11], 'MNIST');
is(scalar @$iter, 1, '... the rest is dropped');
is_deeply(
    [map { [$_->label->[0]->aspdl->list] } @{ mx->io->MNISTIter({ %mnist, seed => 4 }) }],
    [map { [$_->label->[0]->aspdl->list] } @{ mx->io->MNISTIter({ %mnist, seed => 4 }) }],
    '... shuffled alike for a seed'
);
dies_with(sub { mx->io->MNISTIter({ %mnist, label => $images }) }, qr/begins with 2051, want 2049/, '... another file');
dies_with(
    sub { mx->io->MNISTIter({ %mnist, num_parts => 2, part_index => 2 }) },
    qr/part_index got 2/,
    '... a part that there is not'
);
file('lab', pack('N2', 2049, 5) . pack('C*', 5 .. 8));
dies_with(sub { mx->io->MNISTIter({%mnist}) }, qr/holds 4 bytes behind its header, want 5/, '... cut short');

done_testing;
