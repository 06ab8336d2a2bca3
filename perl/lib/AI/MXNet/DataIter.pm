package AI::MXNet::DataIter;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Mouse;

# What all iterators share.

use overload
    '<>' => sub { return $_[0]->next },
    '@{}' => sub { return $_[0]->list },
    fallback => 1;

has batch_size => (is => 'rw', isa => 'Int', default => 0);

sub _missing { return AI::MXNet::Keshi::fail(ref($_[0]) . ": $_[1] is not implemented") }

sub reset { return }    ## no critic (ProhibitBuiltinHomonyms)
sub iter_next { return $_[0]->_missing('iter_next') }
sub getdata { return $_[0]->_missing('getdata') }
sub getlabel { return $_[0]->_missing('getlabel') }
sub getpad { return $_[0]->_missing('getpad') }
sub getindex { return }
sub provide_data { return }
sub provide_label { return }

sub next                ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    return if not $self->iter_next;
    return AI::MXNet::DataBatch->new(
        data => $self->getdata,
        label => $self->getlabel,
        pad => $self->getpad,
        index => scalar $self->getindex,
    );
}

# All that is left of the pass, in arrays of its own.
sub list
{
    my $self = shift;
    my @batches;
    while (defined(my $batch = $self->next)) {
        push @batches,
            AI::MXNet::DataBatch->new(
            %$batch,
            data => [map { $_->copy } @{ $batch->data }],
            label => $batch->label && [map { $_->copy } @{ $batch->label }],
            );
    }
    return \@batches;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::DataIter - what all iterators share

=head1 SYNOPSIS

    package My::Countdown;
    use Mouse;
    use AI::MXNet qw(mx);
    extends 'AI::MXNet::DataIter';
    has left => (is => 'rw', default => 3);
    sub reset { $_[0]->left(3) }
    sub next
    {
        my $self = shift;
        my $n = $self->left or return undef;
        $self->left($n - 1);
        return mx->io->DataBatch(data => [mx->nd->ones([2]) * $n], pad => 0);
    }

    package main;
    my $iter = My::Countdown->new(batch_size => 2);
    while (defined(my $batch = <$iter>)) { print $batch->data->[0]->aspdl, "\n" }

=head1 DESCRIPTION

C<< <$iter> >> is C<next>: an L<AI::MXNet::DataBatch>, or undef at the end of the pass. C<@{ $iter }> is the list of all batches that
are left, with arrays of their own. C<reset> begins anew. C<provide_data> and C<provide_label> return lists of L<AI::MXNet::DataDesc>.

An iterator of one's own defines C<next>, or C<iter_next>, C<getdata>, C<getlabel>, C<getpad> and perhaps C<getindex>, on which
C<next> stands.

=cut
