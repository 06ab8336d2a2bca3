package AI::MXNet::Gluon::Data::Sampler;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon::Arguments;
use List::Util ();
use Mouse;
extends 'AI::MXNet::Gluon::Arguments';

# Numbers of items, or lists of them, in the order of one pass.

use overload
    '<>' => sub { return $_[0]->next },
    '@{}' => sub { return $_[0]->_pass },
    fallback => 1;

has _rest => (is => 'rw', init_arg => undef);

sub len { return AI::MXNet::Keshi::fail(ref($_[0]) . ': len: Not Implemented') }

# A whole pass. A class of one's own may define next and reset instead.
sub _pass
{
    my $self = shift;
    $self->reset;
    my @all;
    while (defined(my $one = $self->next)) {
        push @all, $one;
    }
    return \@all;
}

sub reset { $_[0]->_rest(undef); return }    ## no critic (ProhibitBuiltinHomonyms)

# The next one, undef at the end; after that a new pass begins.
sub next                                     ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->_rest($self->_pass) if not $self->_rest;
    my $next = shift @{ $self->_rest };
    $self->_rest(undef) if not defined $next;
    return $next;
}

package AI::MXNet::Gluon::Data::SequentialSampler;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Sampler';
has length => (is => 'ro', isa => 'Int', required => 1);
sub python_constructor_arguments { return [qw(length)] }
sub len { return $_[0]->length }
sub _pass { return [0 .. $_[0]->length - 1] }
__PACKAGE__->register('AI::MXNet::Gluon::Data');

package AI::MXNet::Gluon::Data::RandomSampler;        ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Sampler';
has length => (is => 'ro', isa => 'Int', required => 1);
sub python_constructor_arguments { return [qw(length)] }
sub len { return $_[0]->length }
sub _pass { return [List::Util::shuffle(0 .. $_[0]->length - 1)] }
__PACKAGE__->register('AI::MXNet::Gluon::Data');

package AI::MXNet::Gluon::Data::BatchSampler;         ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::Gluon::Data::Sampler';
has sampler => (is => 'ro', required => 1);
has batch_size => (is => 'ro', isa => 'Int', required => 1);
has last_batch => (is => 'ro', isa => 'Str', default => 'keep');

# Left over by a pass, for the next one.
has _prev => (is => 'rw', init_arg => undef, default => sub { [] });
sub python_constructor_arguments { return [qw(sampler batch_size last_batch)] }

sub BUILD
{
    my $self = shift;
    AI::MXNet::Keshi::fail("last_batch must be one of 'keep', 'discard', or 'rollover', but got " . $self->last_batch)
        if $self->last_batch !~ /^(?:keep|discard|rollover)\z/;
    AI::MXNet::Keshi::fail('batch_size got ' . $self->batch_size . ', want at least 1') if $self->batch_size < 1;
    return;
}

sub len
{
    my $self = shift;
    my $items = ref $self->sampler eq 'ARRAY' ? @{ $self->sampler } : $self->sampler->len;
    return int(($items + $self->batch_size - 1) / $self->batch_size) if $self->last_batch eq 'keep';
    return int(($items + @{ $self->_prev }) / $self->batch_size);
}

sub _pass
{
    my $self = shift;
    my @items = (@{ $self->_prev }, @{ $self->sampler });
    my @batches;
    push @batches, [splice @items, 0, $self->batch_size] while @items >= $self->batch_size;
    push @batches, [@items] if @items and $self->last_batch eq 'keep';
    $self->_prev([@items]) if $self->last_batch eq 'rollover';
    return \@batches;
}
__PACKAGE__->register('AI::MXNet::Gluon::Data');

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Sampler - the order of the items of a pass

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $sampler = gluon->data->BatchSampler(gluon->data->RandomSampler(10), 4, 'discard');
    print "@$_\n" for @$sampler;              # two lists of four numbers
    while (defined(my $batch = <$sampler>)) { print "@$batch\n" }

=head1 DESCRIPTION

C<@$sampler> is a whole pass, C<E<lt>$samplerE<gt>> the next of it and undef at the end, C<len> how many there are. C<reset> begins anew.

=over 4

=item SequentialSampler($length), RandomSampler($length)

Numbers from 0 on, in order or shuffled by Perl's C<rand>.

=item BatchSampler($sampler, $batch_size, $last_batch = 'keep')

Lists of them. Those that do not fill a batch are a short one with C<keep>, are left out with C<discard>, and begin the next pass with
C<rollover>.

=back

A sampler of one's own C<extends 'AI::MXNet::Gluon::Data::Sampler'> and defines C<len>, C<next> and C<reset>.

=cut
