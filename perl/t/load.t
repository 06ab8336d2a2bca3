use strict;
use warnings;
use Test::More;

my @warned;

BEGIN {
    $SIG{__WARN__} = sub { push @warned, @_ }
}
use AI::MXNet qw(mx);

is(mx, 'AI::MXNet', 'mx is a sub that names the package');
is("@warned", '', 'loading warns of nothing');
is($AI::MXNet::VERSION, '1.6', 'the version of the interface');
for my $module (
    qw(Storable List::Util Scalar::Util Carp PDL Mouse Time::HiRes JSON::PP MIME::Base64 Data::Dumper
    Hash::Ordered AI::MXNet::Function::Parameters)
    )
{
    (my $file = "$module.pm") =~ s{::}{/}g;
    ok($INC{$file}, "$module is loaded");
}
like(AI::MXNet::Keshi::simd_level(), qr/^(?:portable|avx2|avx512)$/, 'the kernels tell their level');
my %operator = map { $_ => 1 } AI::MXNet::Keshi::operators(1);
ok($operator{exp}, 'the table knows exp');
is_deeply([grep { !nd->can($_) } keys %operator], [], 'every operator and alias is a method');
my $about = nd->function_meta('exp');
is($about->{__name__}, 'exp', 'function_meta has the name');
like($about->{__doc__}, qr/^Inputs: data/m, 'and the inputs');
is(scalar(keys %{ nd->function_meta_hash }), scalar(keys %operator), 'function_meta_hash has them all');

my $ordered = Hash::Ordered->new(b => 1, a => 2);
$ordered->set(c => 3);
$ordered->set(b => 9);
is_deeply([$ordered->as_list], [b => 9, a => 2, c => 3], 'Hash::Ordered keeps the order');
is($ordered->delete('a'), 2, 'and deletes');
is_deeply([$ordered->keys], [qw(b c)], 'what is left');
$ordered->unshift(z => 0);
$ordered->push(b => 5);
is_deeply([$ordered->as_list], [z => 0, c => 3, b => 5], 'unshift and push');

done_testing;
